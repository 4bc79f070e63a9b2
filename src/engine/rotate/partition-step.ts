import { parseBounds } from '../../catalog/partitions/bounds.ts'
import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { codeOf, isConnectionLost, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError, reasonOf } from '../../errors.ts'
import { assertLease } from '../../journal/lease.ts'
import { recordRotation, type RotationAction } from '../../journal/rotations.ts'
import type { RotationPlan } from '../../plan/rotate/plan.ts'
import type { ShortLockStep } from '../../plan/language/step.ts'
import type { LockTimes } from '../../events.ts'
import { display, type TableName } from '../../sql/names.ts'
import { underShortLocks, type LockLimits } from '../locks/short-locks.ts'
import { sessionsOf } from '../execute.ts'
import { readState } from './detach.ts'
import type { TableContext } from '../table-context.ts'

// What a rotation does to one partition at a moment: under brief locks, with a line in the journal.

/** The rotation of one set. */
export interface RetireContext {
  readonly context: TableContext
  readonly set: PartitionedTable
  readonly plan: RotationPlan
  readonly lockLimits: LockLimits
}

/** What is known of a partition on its way out. */
export type Leaving = Pick<Partition, 'oid' | 'name' | 'boundsText' | 'bytes' | 'estimatedRows' | 'range'>

/** One brief step with its line in the journal, and what must be true under the lock. */
export async function brief(
  { context, lockLimits }: Pick<RetireContext, 'context' | 'lockLimits'>,
  step: ShortLockStep,
  record: () => Promise<void>,
  check: () => Promise<void> = async () => {},
): Promise<LockTimes> {
  try {
    return await underShortLocks(sessionsOf(context), step, lockLimits, context.observer, context.signal, async () => {
      await assertLease(context.session, context.journalSchema, context.lease)
      await check()
      await context.session.query(step.statements.join(';\n'))
      await record()
    })
  } catch (error) {
    throw explained(step, error)
  }
}

/** A line in the journal about a partition that is on its way out, or stays after all. */
export async function write(
  { context, set }: Pick<RetireContext, 'context' | 'set'>,
  partition: Leaving,
  action: RotationAction,
): Promise<void> {
  const bounds = rangeIn(partition.boundsText)
  await recordRotation(context.session, context.journalSchema, {
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
export function rangeIn(boundsText: string) {
  const bounds = parseBounds(boundsText)
  return bounds?.kind === 'range' ? bounds : null
}

/** @throws {EbbError} when it is attached, or gone */
export async function isDetached({ context, set }: RetireContext, partition: Leaving): Promise<void> {
  const { state } = await readState(context.session, set.name, partition)
  if (state !== 'detached') throw changed(partition.name, `it is ${state}`)
}

/** Somebody else has been at work on it. */
export function changed(partition: TableName, how: string): EbbError {
  return new EbbError(`${display(partition)} is not what it was when the plan was made: ${how}`, {
    state: 'It has been left as it is.',
    next: 'Look at what somebody else does with this set; the next rotation plans anew.',
  })
}

function explained(step: ShortLockStep, error: unknown): unknown {
  const code = codeOf(error)
  if (error instanceof EbbError || code === undefined || isConnectionLost(error)) return error
  const reason = reasonOf(error)
  const slow = code === SQLSTATE.queryCanceled ? ' (it took too long under lock, or somebody cancelled it)' : ''
  return new EbbError(
    `${step.title}: ${reason}${slow}`,
    { state: 'This step has been undone; what was done before it is kept.', next: nextAfter(code) },
    'failed',
    error,
  )
}

function nextAfter(code: string): string {
  if (code === SQLSTATE.checkViolation)
    return 'The default partition holds rows that belong into the new one: move them out of it, then rotate again.'
  if (code === SQLSTATE.queryCanceled)
    return 'Where there is a default partition, give it a valid CHECK that excludes what is to come, so that it need not be read; then rotate again.'
  return 'Remove the cause, then rotate again: it goes on from here.'
}
