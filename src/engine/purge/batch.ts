import type { ServerModel } from '../../catalog/server-model.ts'
import { inOneGo } from '../../db/in-one-go.ts'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inTransactionFrom } from '../../db/transaction.ts'
import { workClock } from '../../db/work-clock.ts'
import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import { underSettings } from '../../db/settings.ts'
import { assertLease } from '../../journal/lease.ts'
import { aheadStatement, batchStatement, rangeStatement, type Manner } from '../../plan/purge/batch.ts'
import { isListed } from '../../plan/purge/version-list.ts'
import type { BatchRange } from '../../plan/purge/batch-range.ts'
import type { Ahead, PurgeLeaf, PurgeWork } from '../../plan/purge/work.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { sql, type Sql } from '../../sql/sql.ts'
import { areNewHolds, lookAgain } from '../hold-watch.ts'
import type { TableContext } from '../table-context.ts'
import { assertLookedAfter } from './disabled.ts'
import { assertLeaf, prepareAtLeaf, type LeafFiles } from './leaf-state.ts'
import { orRefused, refusalOf } from './refusal.ts'
import {
  changesBetween,
  countChanges,
  doDeferred,
  OverreachError,
  watchedBy,
  type Around,
  type ChangeCount,
  type Changes,
} from './changes.ts'

/** A part of a leaf and how to go about it; positions are text. */
export interface BatchOrder {
  readonly leaf: PurgeLeaf
  readonly after: string | null
  readonly upto: string | null
  /** Rows at most. */
  readonly limit: number
  /** `range`: without looking first. Then there may be more rows, and it may end before `upto`. */
  readonly manner: Manner | 'range'
  /** Instead of the first row itself, so many of these at most, which refer to it. */
  readonly ahead?: Ahead
  /** Its commit need not wait for the disk. */
  readonly alone?: boolean | undefined
}

/** Its rows have so many dependent rows that the batch would be too large. Nothing is deleted. */
export class CrowdedError extends Error {
  override readonly name = 'CrowdedError'
  /** Rows of the batch, which may be far fewer than its limit. */
  readonly found: number

  constructor(found: number) {
    super()
    this.found = found
  }
}

/** A row was changed between the statements of a batch. Nothing is deleted. */
export class RowsChangedError extends Error {
  override readonly name = 'RowsChangedError'
}

export interface BatchOutcome {
  /** Rows that match; `held` of them have to stay, `gone` are deleted. */
  readonly found: number
  readonly held: number
  readonly gone: number
  /** Rows that cannot go before others of the table which refer to them. */
  readonly behind: number
  /** Rows that no other session had locked, and that were not deleted. */
  readonly stayed: number
  /** What it did to other tables. */
  readonly around: Around
  /** Of the last row found; null where that is not known, or there was none. */
  readonly position: string | null
  /** How long its commit took; unknown before, where it did not wait for the disk, and where only a row was skipped. */
  readonly commitMs?: number
}

/** Waiting for a row, or for a table, is not worth more: the rows locked so far keep others waiting. */
const QUICK_LOCK_MS = 10
const CAREFUL_LOCK_MS = 50
/** Of `deadlock_timeout`, for as long as a batch holds locks and may wait for others: no application becomes the victim (docs/postgres-facts.md, Locks). */
const SHARE_OF_DEADLOCK_TIMEOUT = 0.8
/** For one row, which cannot be made fewer. */
const SINGLE_ROW_MS = 60_000

/** How long a batch of several rows may take. */
export function longestBatchMs({ deadlockTimeoutMs }: Pick<ServerModel, 'deadlockTimeoutMs'>): number {
  return deadlockTimeoutMs * SHARE_OF_DEADLOCK_TIMEOUT
}

/** Where batches take place. */
export interface BatchPlace {
  readonly work: PurgeWork
  readonly context: TableContext
  readonly files: LeafFiles
}

/**
 * One transaction. What `settle` writes commits with what is deleted; an error undoes both. While nobody else is at work the
 * commit does not wait for the disk: if the server crashes, rows and entry are both back. The end of the step does wait.
 */
export async function runBatch(
  { work, context, files }: BatchPlace,
  order: BatchOrder,
  settle: (outcome: BatchOutcome) => Promise<void>,
): Promise<BatchOutcome> {
  const { session, server } = context
  const lockMs = order.manner === 'careful' ? CAREFUL_LOCK_MS : QUICK_LOCK_MS
  const workMs = order.limit === 1 ? SINGLE_ROW_MS : longestBatchMs(server)
  let commit = () => 0
  const mode = work.action.kind === 'record' ? 'access share' : 'row exclusive'
  const commits = order.alone === true ? 'set local synchronous_commit = off; ' : ''
  const preparation = `${commits}set local lock_timeout = ${lockMs}; set local statement_timeout = ${Math.max(CAREFUL_LOCK_MS, Math.floor(workMs))};
       lock table only ${quoted(order.leaf.name).text} in ${mode} mode`
  const prepare = (begin: string) =>
    inOneGo(session, () => [
      prepareAtLeaf(session, work, order.leaf, files, `${begin}; ${preparation}`),
      countChanges(session, watchedBy(work)),
    ])
  const action = inTransactionFrom(session, prepare, async ([, before]) => {
    const deleteAndJudge = async () => {
      const deleted = await deleteRows(session, work, order, workMs)
      const own = ownCounts(work, order, deleted)
      const around = await judgeBatch(work, order, context, before, deleted, own)
      return { ...deleted, around: { ...own, ...around } }
    }
    // What cannot be recorded would be missing without a word.
    const outcome = await (work.action.kind === 'record' ? deleteAndJudge() : orRefused(deleteAndJudge))
    await settle(outcome)
    commit = workClock(session)
    return outcome
  })
  const timed = action.then((outcome) => (order.alone === true ? outcome : { ...outcome, commitMs: commit() }))
  return timed.catch(async (error: unknown) => {
    // There is no table of that name, and what became of it is another matter. Or it is a trigger that misses one.
    if (codeOf(error) === SQLSTATE.undefinedTable) await assertLeaf(session, work, order.leaf, files)
    throw error
  })
}

/** What the batch did to the tables around, all that was put off until the commit included, if it may be committed. */
async function judgeBatch(
  work: PurgeWork,
  { leaf, ahead }: BatchOrder,
  { session, journalSchema, lease, holds }: TableContext,
  before: ChangeCount,
  { found, held, gone, behind }: Reported,
  around: Around,
): Promise<Around> {
  const watched = watchedBy(work)
  const { kind } = work.action
  const [, after, , , newHolds] = await inOneGo(session, () => [
    doDeferred(session, work.settings),
    countChanges(session, watched),
    assertLookedAfter(session, watched, leaf),
    found > 0 ? assertLease(session, journalSchema, lease) : Promise.resolve(),
    found > 0 && kind === 'delete' ? areNewHolds(session, journalSchema, holds) : Promise.resolve(false),
  ])
  if (newHolds) await lookAgain(session, journalSchema, holds)
  const kept = ahead === undefined && found - held - behind > gone
  return kind === 'record' ? {} : changesBetween(watched, before, after, { action: kind, gone, kept, around })
}

/** What the statement itself reports, `counts` being those of the companions in their order. */
type Reported = Omit<BatchOutcome, 'around'> & {
  readonly crowded: boolean
  readonly disturbed: boolean
  readonly counts: readonly number[]
}

async function deleteRows(session: Session, work: PurgeWork, order: BatchOrder, workMs: number): Promise<Reported> {
  const { leaf, manner, ahead } = order
  const [range, limit] = [rangeOf(order), sql`${order.limit}`]
  if (ahead !== undefined) return reportOf(session, work, aheadStatement(work, leaf, range, ahead, limit))
  if (manner === 'range') return deleteByRanges(session, work, order, workMs)
  return reportOf(session, work, batchStatement(work, leaf, range, limit, manner))
}

async function reportOf(session: Session, work: PurgeWork, statement: Sql): Promise<Reported> {
  const reported = await underSettings(session, work.settings, () => readOne<Reported>(session, statement))
  if (reported.crowded) throw new CrowdedError(reported.found)
  if (reported.disturbed) throw new OverreachError('dependent rows were moved meanwhile, or are kept by a trigger')
  return reported
}

const NOTHING_BESIDE = { held: 0, behind: 0, stayed: 0, crowded: false, disturbed: false, counts: [] }

/** The estimate of what a block holds at most may be wrong, and then the batch is a few times too long: once. */
export const TOLERANCE = 3

/**
 * Deletes without looking first how many rows match: range by range of blocks, each so short that the batch would not have too many
 * rows if all of its rows matched. No further one begins when there are enough, or half of the time of a batch is over.
 */
async function deleteByRanges(
  session: Session,
  work: PurgeWork,
  { leaf, after, upto, limit }: BatchOrder,
  workMs: number,
): Promise<Reported> {
  const began = performance.now()
  let [gone, at] = [0, after]
  for (let leftMs = workMs; leftMs > workMs / 2; leftMs = workMs - (performance.now() - began)) {
    const most = (TOLERANCE * limit - gone) / (leaf.rowsPerBlock ?? Infinity)
    const end = isListed(leaf.walk) ? upto : earlier(upto, blockOf(at ?? '') + Math.max(1, Math.floor(most)))
    const range = { leaf, after: at, upto: end }
    const [, deleted] = await inOneGo(session, () => [
      session.query(`set local statement_timeout = ${Math.ceil(leftMs)}`),
      underSettings(session, work.settings, () => deleteRange(session, work, range)),
    ])
    gone += deleted
    at = end
    if (at === upto || gone >= limit) break
  }
  return { ...NOTHING_BESIDE, found: gone, gone, position: at }
}

function earlier(upto: string | null, block: number): string | null {
  return upto !== null && blockOf(upto) <= block ? upto : `(${block},0)`
}

/** Of an address as text. */
export function blockOf(position: string): number {
  return Number(/^\((\d+),/.exec(position)?.[1] ?? 0)
}

/** Deletes the rows of a range, or marks them, however many there are, and says how many. */
export async function deleteRange(
  session: Session,
  work: PurgeWork,
  range: Pick<BatchOrder, 'leaf' | 'after' | 'upto'>,
): Promise<number> {
  const statement = rangeStatement(work, range.leaf, rangeOf(range))
  const { rows, rowCount } = await session.query<{ gone: number }>(statement)
  return rows[0]?.gone ?? rowCount ?? 0
}

/** What the statement itself has counted: all there is where PostgreSQL does not count changes (track_counts). */
function ownCounts({ dependents }: PurgeWork, { ahead }: BatchOrder, { found, counts }: Reported): Around {
  const counted: Record<string, Changes> = {}
  const add = (table: TableName, deleted: number) => {
    const before = counted[display(table)]?.deleted ?? 0
    if (deleted > 0) counted[display(table)] = { deleted: before + deleted, updated: 0 }
  }
  if (ahead !== undefined) add(ahead.table, found)
  for (const [i, { table }] of (ahead ?? dependents).companions.entries())
    if (table !== null) add(table, counts[i] ?? 0)
  return counted
}

/** A range with its positions as SQL. */
export function rangeOf({ leaf, after, upto }: Pick<BatchOrder, 'leaf' | 'after' | 'upto'>): BatchRange {
  const at = (position: string | null): Sql | null => {
    if (position === null) return null
    return leaf.walk.kind === 'blocks' ? sql`${position}::pg_catalog.tid` : sql`${position}::pg_catalog.jsonb`
  }
  return { after: at(after), upto: at(upto) }
}

const RETRIED: readonly (string | undefined)[] = [
  SQLSTATE.lockNotAvailable,
  SQLSTATE.deadlockDetected,
  SQLSTATE.serializationFailure,
  SQLSTATE.queryCanceled,
]

/** It had to look at so much that its time was over. */
export function tookTooLong(error: unknown): boolean {
  return codeOf(error) === SQLSTATE.queryCanceled
}

/** Somebody was in the way, or it took too long, or a row among them cannot go: fewer rows, a little later, may do. */
export function isToBeRetried(error: unknown, signal: AbortSignal): boolean {
  const another = error instanceof CrowdedError || error instanceof RowsChangedError
  return !signal.aborted && (another || RETRIED.includes(codeOf(error)) || refusalOf(error) !== null)
}
