import { reasonOf } from '../errors.ts'
import { doneSteps, noteError, recordStep } from '../journal/journal.ts'
import type { PurgeStep, Step } from '../plan/language/step.ts'
import type { LockTimes } from '../events.ts'
import type { TableName } from '../sql/names.ts'
import { LOCK_LIMITS, type LockLimits } from './locks/short-locks.ts'
import { copyChunks } from './copy/copy.ts'
import { verify } from './copy/verify.ts'
import { check, purgeRows, vacuum } from './purge/run-steps.ts'
import type { Turns } from './purge/turns.ts'
import { withPace } from './pace.ts'
import { stoppedBefore } from './steps/errors.ts'
import { performTold, performWhole, recordAfter, type Hooks, type StepResult } from './steps/perform.ts'
import type { TableContext } from './table-context.ts'

export type { StepResult } from './steps/perform.ts'

export interface ExecuteOptions {
  readonly lockLimits?: LockLimits | undefined
  /** Who paces the batches of a purge. */
  readonly turns?: Turns | undefined
  /** What else belongs into the transaction of a step, by its key: what is true from then on; one query each. */
  readonly alongside?: Readonly<Record<string, (context: TableContext) => readonly Promise<void>[]>>
}

/** Carries out what is left of a run; when it stops, the journal says why. */
export async function executeRun(
  runId: string,
  steps: readonly Step[],
  context: TableContext,
  options: ExecuteOptions = {},
): Promise<StepResult[]> {
  try {
    await noteError(context.session, context.journalSchema, runId, null)
    return await execute(runId, steps, context, options)
  } catch (error) {
    const reason = reasonOf(error)
    // By the session that looks around: the one at work may be what was lost. If both were, the reason is told all the same.
    await noteError(context.control, context.journalSchema, runId, reason).catch(() => {})
    throw error
  }
}

/**
 * Carries out the steps that the journal does not have yet, in order, and
 * stops at the first that fails. A step that is a transaction commits together
 * with its entry, so whenever this is killed, calling it again goes on rightly.
 */
async function execute(
  runId: string,
  steps: readonly Step[],
  context: TableContext,
  options: ExecuteOptions = {},
): Promise<StepResult[]> {
  const done = await doneSteps(context.session, context.journalSchema, runId)
  const begun = steps.filter(({ key }) => done.has(key)).length
  if (begun > 0) context.observer({ type: 'resumed', runId, done: begun, of: steps.length })
  const results: StepResult[] = []
  for (const [position, step] of steps.entries()) {
    if (done.has(step.key)) continue
    if (context.signal.aborted) throw stoppedBefore(step)
    const place = { position, of: steps.length, ofRun: true }
    results.push(await performTold(step, place, context, (paced) => perform(runId, step, paced, options)))
  }
  return results
}

/** What works in pieces remembers them in the journal of the run; the rest is all the same with and without one. */
async function perform(
  runId: string,
  step: Step,
  context: TableContext,
  options: ExecuteOptions,
): Promise<LockTimes | null> {
  const began = performance.now()
  const { session, journalSchema } = context
  const hooks: Hooks = {
    alongside: () => [
      ...(options.alongside?.[step.key]?.(context) ?? []),
      recordStep(session, journalSchema, runId, step.key, performance.now() - began),
    ],
  }
  switch (step.kind) {
    case 'copy':
      return recordAfter(copyChunks(step, runId, context), context, hooks)
    case 'verify':
      return recordAfter(verify(step, runId, context), context, hooks)
    case 'purge':
      return recordAfter(purgeAtPace(step, runId, context, options), context, hooks)
    case 'vacuum':
      return recordAfter(
        atPace([step.table], context, options, (turns) => vacuum(step, runId, context, turns)),
        context,
        hooks,
      )
    case 'check':
      return recordAfter(check(step, runId, context), context, hooks)
    case 'dry run':
    case 'index':
    case 'drop index':
    case 'reconcile':
    case 'alone':
    case 'online':
    case 'short lock':
    case 'detach':
    case 'swap':
      return performWhole(step, context, options.lockLimits ?? LOCK_LIMITS, hooks)
  }
}

async function purgeAtPace(
  step: PurgeStep,
  runId: string,
  context: TableContext,
  options: ExecuteOptions,
): Promise<void> {
  const { deadlineMs } = options.lockLimits ?? LOCK_LIMITS
  const { table, dependents } = step.work
  const around = dependents.watched?.others.filter((one) => !one.protected) ?? []
  const tables = [table, ...around.map(({ name }) => name)]
  return atPace(tables, context, options, (turns) => purgeRows(step, runId, context, turns, deadlineMs))
}

function atPace(
  tables: readonly TableName[],
  context: TableContext,
  { turns }: ExecuteOptions,
  work: (turns: Turns) => Promise<void>,
): Promise<void> {
  return turns === undefined ? withPace(context, tables, work) : work(turns)
}
