import { parseBounds } from '../../catalog/partitions/bounds.ts'
import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { recordRotation, type RotationAction } from '../../journal/rotations.ts'
import type { LockTimes } from '../../events.ts'
import type { WholeStep } from '../../plan/language/step.ts'
import type { RotationPlan } from '../../plan/rotate/plan.ts'
import type { LockLimits } from '../locks/short-locks.ts'
import { changed, readState } from '../steps/detach.ts'
import { performTold, performWhole, type Hooks } from '../steps/perform.ts'
import type { TableContext } from '../table-context.ts'

// What a rotation does to one partition at a moment: a step, with a line in the journal.

/** Where a step of a rotation takes place. */
export interface StepsContext {
  readonly context: TableContext
  readonly lockLimits: LockLimits
  /** All that are done one after the other. */
  readonly steps: readonly WholeStep[]
}

/** The rotation of one set. */
export interface RetireContext extends StepsContext {
  readonly set: PartitionedTable
  readonly plan: RotationPlan
}

/** What is known of a partition on its way out. */
export type Leaving = Pick<Partition, 'oid' | 'name' | 'boundsText' | 'bytes' | 'estimatedRows' | 'range'>

/** Performs a step with its line in the journal. A step that nobody planned has the place of the one it stands for. */
export async function perform(
  { context, lockLimits, steps }: StepsContext,
  step: WholeStep,
  hooks: Hooks,
  instead = step,
): Promise<LockTimes | null> {
  const place = { position: steps.indexOf(instead), of: steps.length, ofRun: false }
  const { lock } = await performTold(step, place, context, (told) => performWhole(step, told, lockLimits, hooks))
  return lock
}

/** A line in the journal about a partition that is on its way out, or stays after all. */
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

/** The range that bounds name, where they name one. */
function rangeIn(boundsText: string) {
  const bounds = parseBounds(boundsText)
  return bounds?.kind === 'range' ? bounds : null
}

/** @throws {EbbError} when it is attached, or gone */
export async function isDetached({ context, set }: RetireContext, partition: Leaving): Promise<void> {
  const { state } = await readState(context.session, set.name, partition)
  if (state !== 'detached') throw changed(partition.name, `it is ${state}`)
}
