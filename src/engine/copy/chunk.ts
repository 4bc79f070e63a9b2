import type { ClientBase } from 'pg'
import { prepared, readOnePrepared } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { at } from '../../journal/journal.ts'
import type { CopyWork, Transport } from '../../plan/copy/work.ts'
import { display, quoted } from '../../sql/names.ts'
import { own } from '../../sql/operators.ts'
import { ident, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import type { SourceState } from './captured.ts'

/**
 * The contents of a chunk. `first` is inclusive, `end` exclusive: blocks of the source, or, if `keys` is set, the
 * position of a key range in the order of ranges.
 */
export interface Range {
  readonly first: number
  readonly end: number
  readonly keys: KeyRange | null
  /** The requested size, in the unit of the walk: the basis of the next chunk's size. */
  readonly size: number
}

/** Values of a not-null column; null for an open end. `from` is inclusive, `to` exclusive. */
export interface KeyRange {
  readonly column: string
  readonly type: string
  readonly from: string | null
  readonly to: string | null
}

/**
 * The rows of a chunk to copy: all kept rows, whether changed since or not. Leaving out those in the log costs a
 * fifth of the time of `insert … select`, and the first pass over the log deletes every copy of them anyway, before
 * there are unique indexes.
 */
export function chunkRows(work: CopyWork, range: Range): Sql {
  return sql`select ${raw(work.columns)} from ${quoted(work.source)} s where ${within(range)} and ${kept(work)}`
}

function within({ first, end, keys }: Range): Sql {
  if (keys === null)
    return sql`s.ctid ${own('>=')} ${literal(`(${first},0)`)}::pg_catalog.tid and s.ctid ${own('<')} ${literal(`(${end},0)`)}::pg_catalog.tid`
  const column = sql`s.${ident(keys.column)}`
  const value = (text: string) => sql`${literal(text)}::${raw(keys.type)}`
  const from = keys.from === null ? raw('true') : sql`${column} ${own('>=')} ${value(keys.from)}`
  return keys.to === null ? from : sql`${from} and ${column} ${own('<')} ${value(keys.to)}`
}

/** The condition of the kept rows, in parentheses and on separate lines, because it may end in a comment. */
export function kept({ keep }: CopyWork): Sql {
  return keep === null ? raw('true') : raw(`(${keep}\n)`)
}

/** Locks the source against rewrites for the rest of the transaction. */
export async function holdSource(session: ClientBase, { source }: CopyWork): Promise<void> {
  await session.query(sql`lock table ${quoted(source)} in access share mode`.text)
}

/**
 * Asked once the source is locked: VACUUM FULL, CLUSTER or an ALTER before gives every row another ctid, and chunks of
 * blocks would lose rows. One query.
 *
 * @throws {EbbError} when it was rewritten
 */
export async function assertNotRewritten(
  session: ClientBase,
  work: CopyWork,
  { filenode }: SourceState,
): Promise<void> {
  if ((await readFilenode(session, work)) === filenode) return
  throw new EbbError(
    `${display(work.source)} was rewritten by another session (VACUUM FULL, CLUSTER, REPACK, TRUNCATE or ALTER TABLE)`,
    {
      state: 'The rows copied so far can no longer be trusted; the table itself is unchanged.',
      next: 'Undo the run with ebb abandon, and start again.',
    },
  )
}

async function readFilenode(session: ClientBase, work: CopyWork): Promise<string> {
  const { filenode } = await readOnePrepared<{ filenode: string }>(
    session,
    sql`
    select pg_relation_filenode(${quoted(work.source).text}::regclass)::text as filenode`,
  )
  return filenode
}

/** Records a chunk in the transaction that copies it. One query. */
export async function recordChunk(
  session: ClientBase,
  schema: string,
  runId: string,
  { first, end, keys }: Range,
  rows: number,
  milliseconds: number,
  transport: Transport,
): Promise<void> {
  await session.query(
    prepared(sql`
    insert into ${at(schema, 'chunk')} (run_id, first, "end", by_column, from_key, to_key, rows, milliseconds, transport)
    values (${runId}, ${first}, ${end}, ${keys?.column ?? null}, ${keys?.from ?? null}, ${keys?.to ?? null}, ${rows}, ${milliseconds}, ${transport})`),
  )
}

/** Returns the ranges still to be copied, each once. */
export interface Walk {
  readonly unit: 'blocks' | 'rows'
  /** In `unit`; for a walk by keys the planner's estimate. */
  readonly total: number
  /** In `unit`: copied before this walk began. */
  readonly begun: number
  /** Sizes of chunks, in `unit`. */
  readonly firstSize: number
  readonly maxSize: number
  /** The first one while others are at work, and the smallest, however slow the disk is. */
  readonly leastSize: number
  /** The next range of about `size`; undefined when nothing is left. */
  next(size: number, session: Session): Promise<Range | undefined>
  /** Returns no more ranges. */
  close(): void
}

/** A chunk in the journal. */
export interface DoneChunk {
  readonly first: number
  readonly end: number
  readonly byColumn: string | null
  readonly from: string | null
  readonly to: string | null
  readonly rows: number
}
