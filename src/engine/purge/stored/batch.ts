import { putOnAllNodes } from '../../../catalog/partitions/stored-leaves.ts'
import type { Session } from '../../../db/session.ts'
import { codeOf, SQLSTATE } from '../../../db/sqlstate.ts'
import { inTransaction } from '../../../db/transaction.ts'
import { assertLease } from '../../../journal/lease.ts'
import { deleteReferring } from '../../../plan/purge/stored-dependents.ts'
import { deleteTaken, isArchived, takeStored, type Archived } from '../../../plan/purge/stored-list.ts'
import type { PurgeLeaf, PurgeWork } from '../../../plan/purge/work.ts'
import { display } from '../../../sql/names.ts'
import { raw, type Sql } from '../../../sql/sql.ts'
import { areNewHolds, lookAgain } from '../../hold-watch.ts'
import { deleteRange, rangeOf, RowsChangedError, type BatchOutcome, type BatchPlace } from '../batch.ts'
import type { Changes } from '../changes.ts'
import { assertLeaf } from '../leaf-state.ts'
import type { Purging } from '../purging.ts'
import { orRefused } from '../refusal.ts'

// A batch on a table that Citus stores. Invariants:
//
//   - One statement on the table itself, never on a shard: it goes to all shards of the range in parallel, and to the
//     new placement where one is being moved. What it deletes commits with the journal (two-phase commit).
//   - Rows of other tables that refer to them go before, by statements of their own, in one snapshot on each node: a row that is
//     changed in between is an error, and one that comes to refer to it is refused.
//   - Of archived rows, two: one takes their entries, the other deletes them, and no row may change in between.
//   - It is bounded by its range alone: Citus neither skips locked rows nor limits what a statement deletes.
//   - Settings are sent to all nodes: the time limit for locks, and those under which the condition is read.
//   - After the statement its locks keep shards where they are: if they have moved since the batch before, positions mean
//     nothing any more, and it is rolled back.

/** A part of a leaf; positions are text. */
export interface StoredRange {
  readonly leaf: PurgeLeaf
  readonly after: string | null
  readonly upto: string | null
}

/** Another session's rows are waited for so long, on all nodes. */
const LOCK_MS = 50
/** Of `deadlock_timeout`: no application becomes the victim. */
const SHARE_OF_DEADLOCK_TIMEOUT = 0.8
/** Connections to all nodes may have to be opened, and a range may be as small as can be. */
const LEAST_MS = 5_000

/** One transaction. What `settle` writes commits with what is deleted, or marked, on all nodes. */
export async function runStoredBatch(
  { work, context, files, tally }: BatchPlace & Pick<Purging, 'tally'>,
  range: StoredRange,
  settle: (outcome: BatchOutcome) => Promise<void>,
): Promise<BatchOutcome> {
  const { session, control, server, journalSchema, lease, holds } = context
  const dependents = work.dependents.stored ?? []
  const workMs = Math.max(LEAST_MS, Math.floor(server.deadlockTimeoutMs * SHARE_OF_DEADLOCK_TIMEOUT))
  const isolation = dependents.length === 0 ? 'read committed' : 'repeatable read'
  const batch = inTransaction(session, { isolation }, async () => {
    await session.query(`set local statement_timeout = ${workMs}`)
    const { gone, around } = await orRefused(() => deleteStored(session, work, range, raw(String(tally.number + 1))))
    // By the other session: the snapshot of this one may be older than the last move of a shard, or than a hold.
    await assertLeaf(control, work, range.leaf, files)
    if (gone > 0) await assertLease(session, journalSchema, lease)
    if (gone > 0 && work.action.kind === 'delete' && (await areNewHolds(control, journalSchema, holds)))
      await lookAgain(control, journalSchema, holds)
    const outcome = { found: gone, held: 0, gone, behind: 0, stayed: 0, around, position: null }
    await settle(outcome)
    return outcome
  })
  return batch.catch(async (error: unknown) => {
    if (codeOf(error) === SQLSTATE.undefinedTable) await assertLeaf(session, work, range.leaf, files)
    throw error
  })
}

async function deleteStored(
  session: Session,
  work: PurgeWork,
  range: StoredRange,
  batch: Sql,
): Promise<Pick<BatchOutcome, 'gone' | 'around'>> {
  await putOnAllNodes(session, work.settings)
  await session.query(`set local lock_timeout = ${LOCK_MS}`)
  const { leaf } = range
  const around: Record<string, Changes> = {}
  for (const dependent of work.dependents.stored ?? []) {
    const { rowCount } = await session.query(deleteReferring(work, leaf, rangeOf(range), dependent))
    const name = display(dependent.table)
    if (rowCount) around[name] = { deleted: (around[name]?.deleted ?? 0) + rowCount, updated: 0 }
  }
  const gone = isArchived(leaf)
    ? await deleteArchived(session, work, { ...range, leaf }, batch)
    : await deleteRange(session, work, range)
  await session.query(`set local search_path to ''`)
  return { gone, around }
}

async function deleteArchived(
  session: Session,
  work: PurgeWork,
  range: StoredRange & { readonly leaf: PurgeLeaf & Archived },
  batch: Sql,
): Promise<number> {
  const { rowCount: taken } = await session.query(takeStored(work, range.leaf, rangeOf(range), batch))
  const { rowCount: gone } = await session.query(deleteTaken(range.leaf, rangeOf(range), batch))
  if (gone !== taken) throw new RowsChangedError()
  return gone ?? 0
}
