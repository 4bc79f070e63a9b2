import { isConnectionLost } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import { assertLease } from '../../journal/lease.ts'
import type { RotationPlan, Skipped } from '../../plan/rotate/plan.ts'
import type { LockTimes } from '../../events.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { PaceSummary } from '../../pacing/summary.ts'
import { asError, type Failure } from '../many-tables.ts'
import type { Retired } from './retire.ts'
import type { TableContext } from '../table-context.ts'

/** The outcome of the rotation of a set. */
export interface SetReport {
  readonly table: TableName
  /** The plan by which partitions were retired; null if none could be made. */
  readonly plan: RotationPlan | null
  readonly finalized: readonly TableName[]
  readonly created: readonly CreatedPartition[]
  readonly retired: readonly RetiredPartition[]
  /** Old partitions that are kept, and why. */
  readonly skipped: readonly Skipped[]
  /** Failed actions; the rest was done all the same. */
  readonly failed: readonly Failure[]
  readonly milliseconds: number
  /** The longest lock, and the maximum blocking time. */
  readonly longestLockMs: number
  readonly longestWaitCausedMs: number
  /** Null if nothing was to be retired. */
  readonly pace: PaceSummary | null
}

export interface CreatedPartition {
  readonly partition: TableName
  readonly from: string
  readonly to: string
  /** As many rows of the DEFAULT partition were moved into it, by the count before. */
  readonly moved: number
}

export interface RetiredPartition {
  readonly partition: TableName
  readonly outcome: Retired['outcome']
  readonly from: string
  readonly to: string
  readonly rows: number | null
  readonly bytes: number
  /** The URI of the receipt of its archive; null without. */
  readonly receipt: string | null
  /** From when on it may be dropped, where it is detached for a while. */
  readonly goesFrom: string | null
}

/** The report as it is written while the set is rotated. */
export type Draft = {
  -readonly [Field in 'finalized' | 'created' | 'retired' | 'failed']: SetReport[Field][number][]
} & {
  plan: RotationPlan | null
  longestLockMs: number
  longestWaitCausedMs: number
  pace: PaceSummary | null
}

/**
 * Does one action. A failure is recorded, and the next action is done, unless that is pointless. False if the next
 * one would wait for the same in vain.
 */
export async function trying(
  context: TableContext,
  done: Draft,
  what: string,
  work: () => Promise<void>,
): Promise<boolean> {
  context.signal.throwIfAborted()
  try {
    await work()
    return true
  } catch (error) {
    // An error that is explained has the reason as its cause; what is said of another server has none.
    if (context.signal.aborted || isConnectionLost(error instanceof EbbError ? error.cause : error)) throw error
    await assertLease(context.session, context.journalSchema, context.lease)
    done.failed.push({ what, error: asError(error) })
    return !(error instanceof EbbError && error.kind === 'try later')
  }
}

/** Takes account of the locks that a step has held. */
export function note(done: Draft, lock: LockTimes | null): void {
  if (lock === null) return
  done.longestLockMs = Math.max(done.longestLockMs, lock.heldMs)
  done.longestWaitCausedMs = Math.max(done.longestWaitCausedMs, lock.longestWaitCausedMs)
}

/** What ends the rotation of a set where a stop is requested. */
export function stopped(table: TableName, cause: unknown): EbbError {
  return new EbbError(
    `stopped while rotating ${display(table)}`,
    {
      state: 'Committed work is kept; the interrupted step was rolled back, or is finished by the next rotation.',
      next: 'Run the same command again: it resumes from here.',
    },
    'stopped',
    cause,
  )
}

/** Of a set of which nothing was to be done. */
export function emptyReport(table: TableName): SetReport {
  return {
    table,
    plan: null,
    finalized: [],
    created: [],
    retired: [],
    skipped: [],
    failed: [],
    milliseconds: 0,
    longestLockMs: 0,
    longestWaitCausedMs: 0,
    pace: null,
  }
}

/** Of a set of which nothing could be tried. */
export function failedSet(table: TableName, failure: Failure): SetReport {
  return { ...emptyReport(table), failed: [failure] }
}
