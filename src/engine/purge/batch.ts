import { inTransaction, readOne, type Session } from '../../db/session.ts'
import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import { assertLease } from '../../journal/lease.ts'
import { batchStatement, rangeStatement, type BatchRange, type Manner } from '../../plan/purge-batch.ts'
import type { PurgeLeaf, PurgeWork } from '../../plan/purge-work.ts'
import { display } from '../../sql/names.ts'
import { sql, type Sql } from '../../sql/sql.ts'
import type { Workplace } from '../workplace.ts'

/** A part of a leaf and how to go about it; positions are text. */
export interface BatchOrder {
  readonly leaf: PurgeLeaf
  readonly after: string | null
  readonly upto: string | null
  /** Rows at most. */
  readonly limit: number
  /** `range`: without looking first, however many rows there are. */
  readonly manner: Manner | 'range'
}

export interface BatchOutcome {
  /** Rows that match; `held` of them have to stay, `gone` are deleted. */
  readonly found: number
  readonly held: number
  readonly gone: number
  /** Rows of companions, in their order. */
  readonly counts: readonly number[]
  /** Of the last row found; null where that is not known, or there was none. */
  readonly position: string | null
}

/** Waiting for a row, or for a table, is not worth more: the rows locked so far keep others waiting. */
const QUICK_LOCK_MS = 10
const CAREFUL_LOCK_MS = 50
/** Of `deadlock_timeout`, for as long as a batch holds locks and may wait for others: no application becomes the victim (postgres-facts F1). */
const SHARE_OF_DEADLOCK_TIMEOUT = 0.8
/** For one row, which cannot be made fewer. */
const SINGLE_ROW_MS = 60_000

/** One transaction. What `settle` writes commits with what is deleted; an error undoes both. */
export async function runBatch(
  work: PurgeWork,
  order: BatchOrder,
  { session, journalSchema, lease, server }: Workplace,
  settle: (outcome: BatchOutcome) => Promise<void>,
): Promise<BatchOutcome> {
  const lockMs = order.manner === 'careful' ? CAREFUL_LOCK_MS : QUICK_LOCK_MS
  const workMs = order.limit === 1 ? SINGLE_ROW_MS : server.deadlockTimeoutMs * SHARE_OF_DEADLOCK_TIMEOUT
  return inTransaction(session, {}, async () => {
    await session.query(
      `set local lock_timeout = ${lockMs}; set local statement_timeout = ${Math.max(CAREFUL_LOCK_MS, Math.floor(workMs))}`,
    )
    const outcome = await deleteRows(session, work, order)
    if (outcome.found > 0) await assertLease(session, journalSchema, lease)
    await settle(outcome)
    return outcome
  })
}

async function deleteRows(session: Session, work: PurgeWork, order: BatchOrder): Promise<BatchOutcome> {
  const { leaf, limit, manner } = order
  const statement =
    manner === 'range'
      ? rangeStatement(work, leaf, rangeOf(order))
      : batchStatement(work, leaf, rangeOf(order), sql`${limit}`, manner)
  return readOne<BatchOutcome & { [column: string]: unknown }>(session, statement).catch((error: unknown) => {
    throw codeOf(error) === SQLSTATE.foreignKeyViolation ? stillReferred(work, error) : error
  })
}

/** A range with its positions as SQL. */
export function rangeOf({ leaf, after, upto }: Pick<BatchOrder, 'leaf' | 'after' | 'upto'>): BatchRange {
  const at = (position: string | null): Sql | null => {
    if (position === null) return null
    return leaf.walk.kind === 'blocks' ? sql`${position}::tid` : sql`${position}::jsonb`
  }
  return { after: at(after), upto: at(upto) }
}

function stillReferred({ table }: PurgeWork, error: unknown): EbbError {
  const { detail, message } = error as { detail?: string; message: string }
  return new EbbError(
    `a row of ${display(table)} that was to go is still referred to: ${detail ?? message}`,
    {
      state: 'That batch has been undone; the batches before it are done, and recorded.',
      next: 'Exclude such rows by the condition, or delete what refers to them first. Then ebb abandon this run, and start again.',
    },
    undefined,
    error,
  )
}

const RETRIED: readonly (string | undefined)[] = [
  SQLSTATE.lockNotAvailable,
  SQLSTATE.deadlockDetected,
  SQLSTATE.serializationFailure,
  SQLSTATE.queryCanceled,
]

/** Somebody was in the way, or it took too long: fewer rows, a little later, may do. */
export function isToBeRetried(error: unknown, signal: AbortSignal): boolean {
  return !signal.aborted && RETRIED.includes(codeOf(error))
}
