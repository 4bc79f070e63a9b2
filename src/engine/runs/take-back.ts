import type { Session } from '../../db/session.ts'
import { EbbError, NOTHING_CHANGED, UsageError } from '../../errors.ts'
import { doneSteps, endRun, type Run } from '../../journal/journal.ts'
import { planFinishing, planLeaving } from '../../plan/copy/abandon.ts'
import type { Plan, Step } from '../../plan/language/step.ts'
import { fromStored } from '../../plan/language/stored.ts'
import { display } from '../../sql/names.ts'
import { assertPlain } from '../../sql/plain.ts'
import type { AnyCommand, StorablePlan } from '../command.ts'
import { executeRun, type StepResult } from '../execute.ts'
import { FORMAT, planOf, SWAPS } from '../stored-plan.ts'
import { runIn, type TableContext } from '../table-context.ts'

/** The outcome of an operation on a run. */
export interface RunResult {
  readonly runId: string
  readonly plan: Plan
  readonly steps: readonly StepResult[]
  /** Of the rows left out by a copy that is rolled back, or whose retired table is dropped; null where they are in no archive. */
  readonly receipt?: string | null
  /** Of a run that was abandoned after its tables had changed places: they stay so. */
  readonly swapped?: true
  /** Of a rollback: the run that it undid. */
  readonly rolledBack?: string
}

/** Undoes the preparations of an unfinished run, under the lease held. */
export async function takeBack(command: AnyCommand, run: Run, context: TableContext): Promise<RunResult> {
  const { session, journalSchema } = context
  const done = await doneSteps(session, journalSchema, run.id)
  const plan = await planTakingBack(session, command, run, done)
  const steps = await executeRun(runIn(context, run.id), plan.steps)
  // A swapped table can be rolled back, and its retired table dropped.
  await endRun(session, journalSchema, run.id, hasSwapped(done) ? 'done' : 'abandoned', { steps })
  return { runId: run.id, plan, steps, ...(hasSwapped(done) ? { swapped: true as const } : {}) }
}

/**
 * Plans it.
 *
 * @throws {EbbError} if the run is not unfinished, or has already swapped its table
 */
export async function planTakingBack(
  session: Session,
  command: AnyCommand,
  found: Run,
  done: ReadonlySet<string>,
): Promise<Plan> {
  assertAbandonable(command, found, done)
  const run: Run<StorablePlan> = { ...found, plan: fromStored(found.plan) as StorablePlan }
  if (hasSwapped(done)) return run.format === FORMAT ? withoutTheRest(command, run, done) : leaving(run, done)
  return command.abandon(run, done, command.findTable === undefined ? run.table : await command.findTable(session, run))
}

// A run of an earlier version cannot be resumed, so it must be possible to end it, whatever it has done.
export function assertAbandonable(command: AnyCommand, run: Run, done: ReadonlySet<string>): void {
  if (run.status !== 'running') throw notUnfinished(command, run)
  if (hasSwapped(done) && run.format === FORMAT && !leftOf(command, run, done).some(mayFail))
    throw pastTheSwap(command, run)
}

/** What can fail after a swap for good: because of rows, or of a store. */
function mayFail(step: Step): boolean {
  return isValidation(step) || step.kind === 'archive'
}

/** Validating a foreign key, and what depends on that. */
function isValidation({ key }: Step): boolean {
  return /^(?:validate|adopt-foreign-key):/.test(key)
}

function leftOf(command: AnyCommand, run: Run, done: ReadonlySet<string>): Step[] {
  return planOf(command, run).steps.filter(({ key }) => !done.has(key))
}

/** Finishes what is left but the validation of foreign keys, whose new rows are checked all the same, and an archive. */
async function withoutTheRest(command: AnyCommand, run: Run, done: ReadonlySet<string>): Promise<Plan> {
  const left = leftOf(command, run, done)
  const steps = left.filter((step) => !mayFail(step))
  await assertPlain(steps.flatMap(({ statements }) => statements))
  return planFinishing(
    run.id,
    run.table,
    left.filter(isValidation).map(({ title }) => title),
    left.some(({ kind }) => kind === 'archive'),
    steps,
  )
}

function hasSwapped(done: ReadonlySet<string>): boolean {
  return SWAPS.some((key) => done.has(key))
}

/** Ends the run in its current state. */
function leaving({ id, table, plan }: Run<StorablePlan>, done: ReadonlySet<string>): Plan {
  const undone = plan.steps.filter(({ key }) => !done.has(key)).map(({ title }) => title)
  return planLeaving(id, table, undone, plan.rebuild ?? null)
}

function notUnfinished(command: AnyCommand, { id, status }: Run): UsageError {
  const next =
    status === 'done' && command.rollback !== undefined ? `To go back: ebb rollback ${id}` : 'See ebb status.'
  return new UsageError(`run ${id} is ${status}, so there is nothing to abandon`, next)
}

function pastTheSwap(command: AnyCommand, { id, table }: Run): EbbError {
  return new EbbError(
    `run ${id} has already swapped ${display(table)}; the remaining steps are harmless`,
    {
      state: NOTHING_CHANGED,
      next: `Finish it with ebb resume ${id}${command.rollback === undefined ? '' : '; then ebb rollback can undo it'}.`,
    },
    'objections',
  )
}
