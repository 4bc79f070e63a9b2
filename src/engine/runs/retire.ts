import { withSession, type Session, type Target } from '../../db/session.ts'
import { UsageError } from '../../errors.ts'
import { latestRun, type Run } from '../../journal/journal.ts'
import { planRetire } from '../../plan/copy/undo.ts'
import type { Plan } from '../../plan/language/step.ts'
import { otherRun } from '../command.ts'
import { COPY_COMMANDS } from '../copy/run.ts'
import { executeRun } from '../execute.ts'
import type { EngineOptions } from '../options.ts'
import { withTable } from '../table-context.ts'
import { findRun, type RunChoice } from './find-run.ts'
import { isCopy, known, rebuildOf } from './known.ts'
import type { RunResult } from './result.ts'
import { isThere } from './retired-there.ts'

/** What letting the former table of a rebuild go would do. */
export async function planRetireOf(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
): Promise<Plan & { readonly runId: string }> {
  const { run } = await findRun(target, choice, options, COPY_COMMANDS)
  return withSession(target, 'plan retire', async (session) => ({ ...(await retirement(session, run)), runId: run.id }))
}

/** Lets the former table of a rebuild go, for good. */
export async function retire(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const { server, run } = await findRun(target, choice, options, COPY_COMMANDS)
  return withTable({ target, server, ...options, command: 'retire' }, run.table, async (context) => {
    // A roll-back that is under way needs the former table.
    const latest = await latestRun(context.session, context.journalSchema, run.table)
    if (latest?.status === 'running') throw otherRun(latest)
    const plan = await retirement(context.session, run)
    const steps = await executeRun(run.id, plan.steps, context, { lockLimits: options.lockLimits })
    return { runId: run.id, plan, steps }
  })
}

async function retirement(session: Session, found: Run): Promise<Plan> {
  const run = known(found)
  const rebuild = isCopy(run) && run.status === 'done' ? rebuildOf(run) : null
  if (rebuild === null || !(await isThere(session, { oid: rebuild.sourceOid, name: rebuild.retired })))
    throw new UsageError(`run ${run.id} has no retired table to drop`, 'See ebb status.')
  return planRetire(run.id, rebuild)
}
