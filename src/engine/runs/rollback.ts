import { withSession, type Target } from '../../db/session.ts'
import { ObjectionsError } from '../../errors.ts'
import { latestRun, startRun } from '../../journal/journal.ts'
import type { RollbackPlan } from '../../plan/rollback.ts'
import { toStored } from '../../plan/stored.ts'
import { VERSION } from '../../version.ts'
import { assertLatest, otherRun } from '../agreed.ts'
import type { EngineOptions } from '../options.ts'
import { atWork } from '../workplace.ts'
import { carryBack, type StoredRollback } from './carry-back.ts'
import { findRun, type RunChoice } from './find-run.ts'
import { readRollback } from './read-rollback.ts'
import type { RunResult } from './result.ts'
import { resume } from './resume.ts'
import { REVERSIBLE } from './reversible.ts'

/** What going back to a plain table would do. */
export async function planRollbackOf(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
): Promise<RollbackPlan & { readonly runId: string }> {
  const { server, run } = await findRun(target, choice, options, REVERSIBLE)
  return withSession(target, 'plan rollback', async (session) => ({
    ...(await readRollback(session, server, run, options)),
    runId: run.id,
  }))
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
  const plan = await withSession(target, 'plan rollback', (session) => readRollback(session, server, run, options))
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  return atWork({ target, server, ...options, command: 'rollback' }, run.table, async (place) => {
    await assertLatest(place, run.table, begun)
    const stored: StoredRollback = { ...plan, of: run.id }
    const runId = await startRun(place.session, place.journalSchema, {
      command: 'rollback',
      table: run.table,
      request: { of: run.id },
      plan: toStored(stored),
      version: VERSION,
    })
    return carryBack(runId, stored, place, options)
  })
}
