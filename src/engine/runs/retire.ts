import { readPatiently } from '../locks/patiently.ts'
import { type Session, type Target } from '../../db/session.ts'
import { UsageError } from '../../errors.ts'
import { latestRun, type Run } from '../../journal/journal.ts'
import { planRetire } from '../../plan/copy/retire.ts'
import type { Plan } from '../../plan/language/step.ts'
import { fromStored } from '../../plan/language/stored.ts'
import { otherRun } from '../plan-command.ts'
import { COMMANDS } from '../commands/registry.ts'
import { executeRun } from '../execute.ts'
import type { StorablePlan } from '../command.ts'
import type { EngineOptions } from '../options.ts'
import { runIn, withTable } from '../table-context.ts'
import { readLeftBehind } from './left-behind.ts'
import { findRun, type RunChoice } from './find-run.ts'
import type { RunResult } from './take-back.ts'

/** Commands that retire a table. */
const COPYING = COMMANDS.filter(({ copies }) => copies === true).map(({ name }) => name)

/** Plans the drop of a retired table. */
export async function planRetireOf(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
): Promise<Plan & { readonly runId: string }> {
  const { run } = await findRun(target, choice, options, COPYING)
  return readPatiently(target, 'plan retire', options, async (session) => ({
    ...(await retirement(session, options.journalSchema, run)),
    runId: run.id,
  }))
}

/** Drops a retired table, for good. */
export async function retire(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const { server, run } = await findRun(target, choice, options, COPYING)
  return withTable({ target, server, ...options, command: 'retire' }, run.table, async (context) => {
    // An unfinished rollback needs the retired table.
    const latest = await latestRun(context.session, context.journalSchema, run.table)
    if (latest?.status === 'running') throw otherRun(latest)
    const plan = await retirement(context.session, context.journalSchema, run)
    const steps = await executeRun(runIn(context, run.id), plan.steps)
    return { runId: run.id, plan, steps }
  })
}

async function retirement(session: Session, schema: string, run: Run): Promise<Plan> {
  const { rebuild = null } = run.status === 'done' ? (fromStored(run.plan) as StorablePlan) : {}
  const [left] = await readLeftBehind(session, schema, run.id)
  if (rebuild === null || left === undefined)
    throw new UsageError(`run ${run.id} has no retired table to drop`, 'See ebb status.')
  return planRetire(run.id, rebuild, left)
}
