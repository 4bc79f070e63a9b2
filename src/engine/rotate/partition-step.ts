import { parseBounds } from '../../catalog/partitions/bounds.ts'
import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { SQLSTATE } from '../../db/sqlstate.ts'
import { holdsAround, holdsInForce } from '../../journal/holds.ts'
import { recordRotation, type RotationAction } from '../../journal/rotations.ts'
import type { LockTimes } from '../../events.ts'
import { spanOfBounds } from '../../plan/language/hold.ts'
import type { ArchiveStep, MoveStep, RewriteStep, Step, WholeStep } from '../../plan/language/step.ts'
import { isHeld } from '../../plan/rotate/candidates.ts'
import type { RotationPlan, RotationSituation } from '../../plan/rotate/plan.ts'
import type { Store } from '../../archive/store.ts'
import type { LockLimits } from '../locks/short-locks.ts'
import { changed, readState } from '../steps/detach.ts'
import type { StepAdvice } from '../steps/errors.ts'
import { performTold, performWhole, type Hooks } from '../steps/perform.ts'
import { onHold } from '../hold-watch.ts'
import type { TableContext } from '../table-context.ts'

// A step of a rotation on one partition, with its journal entry.

const IN_ROTATION: StepAdvice = {
  orUndo: '',
  after({ key }, code) {
    const isAttached = key.startsWith('attach:') || key.startsWith('truncate:')
    if (code === SQLSTATE.checkViolation && isAttached)
      return 'Rows of its range are in the DEFAULT partition by now: insert them into the detached one, by its name, and delete them from the DEFAULT one; then run the same command again.'
    if (code === SQLSTATE.checkViolation)
      return 'Rows that belong to the new partition came into the DEFAULT one meanwhile, or they violate a constraint that the other partitions have: run ebb rotate again, which counts them anew.'
    if (code === SQLSTATE.queryCanceled && key.startsWith('exchange:'))
      return 'Its rows could not be counted in 10 s, or names not be exchanged in 1: run the same command again when there is less to do. In a maintenance window in which nobody writes, on any node, Citus does it: alter_table_set_access_method.'
    if (code === SQLSTATE.queryCanceled && key.startsWith('detach:'))
      return 'If foreign keys reference the table, an index on their columns finds quickly whether a row of it is still referenced. Without a DEFAULT partition, it would be detached while the table stays in use.'
    if (code === SQLSTATE.queryCanceled)
      return 'If there is a DEFAULT partition, it could not be read in so short a time: add a valid CHECK that excludes the new range, or divide it with ebb split; then run ebb rotate again.'
    if (code === SQLSTATE.foreignKeyViolation && key.startsWith('detach:'))
      return 'Delete or re-point the rows that reference it; the next rotation retries.'
    return 'Resolve the cause, then run the same command again: it resumes from here.'
  },
}

/** The context of a step of a rotation. */
export interface StepsContext {
  readonly context: TableContext
  readonly lockLimits: LockLimits
  /** The steps of the sequence. */
  readonly steps: readonly Step[]
}

/** What is there, and what is planned for it. */
export interface Looked {
  readonly situation: RotationSituation
  readonly plan: RotationPlan
}

/** The rotation of one set. */
export interface RetireContext extends StepsContext {
  readonly set: PartitionedTable
  readonly plan: RotationPlan
  /** Where its partitions are archived; null without. */
  readonly store: Store | null
  /** Whether partitions are retired though restored rows of them are on hold. */
  readonly holdsAccepted: boolean
}

/** What is known about a partition being retired. */
export type Leaving = Pick<Partition, 'oid' | 'name' | 'boundsText' | 'bytes' | 'estimatedRows' | 'range'>

/** Performs a step with its journal entry. An unplanned step has the position of the one it replaces. */
export async function perform(
  { context, lockLimits, steps }: StepsContext,
  step: WholeStep,
  hooks: Hooks,
  instead = step,
): Promise<LockTimes | null> {
  const place = { position: steps.indexOf(instead), of: steps.length, advice: IN_ROTATION }
  const { lock } = await performTold(step, place, context, (told) => performWhole(step, told, lockLimits, hooks))
  return lock
}

/** Performs a step that takes no locks which block, and returns what `work` does. */
export async function performOther<T>(
  { context, steps }: StepsContext,
  step: ArchiveStep | MoveStep | RewriteStep,
  work: (context: TableContext) => Promise<T>,
): Promise<T> {
  const place = { position: steps.indexOf(step), of: steps.length, advice: IN_ROTATION }
  const results: { readonly of: T }[] = []
  await performTold(step, place, context, async (told) => {
    results.push({ of: await work(told) })
    return null
  })
  const [result] = results
  if (result === undefined) throw new Error('a step that has been performed has a result')
  return result.of
}

/** The journal entry of a partition that is being retired, or kept after all. */
export function write(
  { context, set }: Pick<RetireContext, 'context' | 'set'>,
  partition: Leaving,
  action: RotationAction,
): Promise<void> {
  const bounds = rangeIn(partition.boundsText)
  return recordRotation(context.session, context.journalSchema, {
    table: set.name,
    partition: partition.name,
    action,
    from: bounds?.from ?? null,
    to: bounds?.to ?? null,
    bytes: partition.bytes,
    estimatedRows: partition.estimatedRows,
  })
}

/** The range of supported bounds. */
function rangeIn(boundsText: string) {
  const bounds = parseBounds(boundsText)
  return bounds?.kind === 'range' ? bounds : null
}

/**
 * Asked in each transaction that retires a partition: rows may have been restored since the plan was made.
 *
 * @throws {EbbError} if rows of it are on hold
 */
export async function isNotHeld({ context, set, holdsAccepted }: RetireContext, partition: Leaving): Promise<void> {
  if (holdsAccepted) return
  const { session, journalSchema } = context
  if ((await holdsInForce(session, journalSchema)).length === 0) return
  const holds = await holdsAround(session, journalSchema, set.name)
  const kind = set.key?.kind
  // A detached one has no bounds in the catalogue: those that it had count.
  const { name, range, boundsText } = partition
  const hold = holds.find(
    (one) => kind === undefined || isHeld({ name, range: range ?? spanOfBounds(kind, boundsText) }, one, kind),
  )
  if (hold !== undefined)
    throw onHold(hold, 'Wait until then: ebb rotate skips it. To retire it all the same: ebb rotate --accept hold.')
}

/** @throws {EbbError} if it is attached, or was dropped */
export async function isDetached(
  { context, set }: Pick<RetireContext, 'context' | 'set'>,
  partition: Pick<Leaving, 'oid' | 'name'>,
): Promise<void> {
  const { state } = await readState(context.session, set.name, partition)
  if (state !== 'detached') throw changed(partition.name, `it is ${state}`)
}
