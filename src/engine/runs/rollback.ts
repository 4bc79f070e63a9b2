import { withSession, type Target } from '../../db/session.ts'
import { ObjectionsError } from '../../errors.ts'
import { latestRun } from '../../journal/journal.ts'
import type { RollbackPlan } from '../../plan/partition/rollback.ts'
import { assertLatest, otherRun, recordRun } from '../command.ts'
import type { EngineOptions } from '../options.ts'
import { withTable } from '../table-context.ts'
import { carryBack } from './carry-back.ts'
import { findRun, type RunChoice } from './find-run.ts'
import type { RunResult } from './result.ts'
import { resume } from './resume.ts'
import { REVERSIBLE } from './reversible.ts'
import { planRollbackAnew, rollbackCommand } from './rollback-command.ts'

/** What going back to a plain table would do. */
export async function planRollbackOf(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
): Promise<RollbackPlan & { readonly runId: string }> {
  const { server, run } = await findRun(target, choice, options, REVERSIBLE)
  return withSession(target, 'plan rollback', async (session) => {
    const { plan } = await planRollbackAnew(session, server, { of: run.id }, options)
    return { ...plan, runId: run.id }
  })
}

/**
 * Makes a converted table a plain one again.
 *
 * @throws {ObjectionsError} when rows would be lost
 */
export async function rollback(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const { server, run } = await findRun(target, choice, options, REVERSIBLE)
  const begun = await withSession(target, 'find run', (session) => latestRun(session, options.journalSchema, run.table))
  if (begun?.status === 'running') {
    if (begun.command === 'rollback') return resume(target, { runId: begun.id }, options)
    throw otherRun(begun)
  }
  const request = { of: run.id }
  const { plan, situation } = await withSession(target, 'plan rollback', (session) =>
    planRollbackAnew(session, server, request, options),
  )
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  return withTable({ target, server, ...options, command: 'rollback' }, run.table, async (context) => {
    await assertLatest(context, run.table, begun)
    const recorded = await recordRun(context, rollbackCommand(request, options), run.table, situation)
    return carryBack(recorded.runId, recorded.plan, context, options)
  })
}
