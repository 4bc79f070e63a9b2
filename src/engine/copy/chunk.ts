import type { ClientBase } from 'pg'
import { readOne } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { at } from '../../journal/journal.ts'
import type { CopyWork, Transport } from '../../plan/copy/work.ts'
import { display, quoted } from '../../sql/names.ts'
import { own } from '../../sql/operators.ts'
import { ident, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import type { SourceState } from './captured.ts'

/**
 * What one chunk carries. `first` is inside, `end` is not: blocks of the source,
 * or, where `keys` is set, the place of a key range in the order of ranges.
 */
export interface Range {
  readonly first: number
  readonly end: number
  readonly keys: KeyRange | null
  /** How much was asked for, in the unit of the walk: what the next chunk's size is measured by. */
  readonly size: number
}

/** Values of a column that is never null; null for an end that is open. `from` is inside, `to` is not. */
export interface KeyRange {
  readonly column: string
  readonly type: string
  readonly from: string | null
  readonly to: string | null
}

/**
 * The rows of a chunk that are to be copied: all that are kept, whether they have
 * changed since or not. Leaving out those in the log costs a fifth of the time
 * of `insert … select`, and the first pass over the log deletes every copy of
 * them anyway, while nothing has to be unique yet.
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

/** The condition of the kept rows, in parentheses and on lines of its own, for it may end in a comment. */
export function kept({ keep }: CopyWork): Sql {
  return keep === null ? raw('true') : raw(`(${keep}\n)`)
}

/**
 * Holds the source still against rewrites for the rest of the transaction, and
 * makes sure that it has not been rewritten before: VACUUM FULL, CLUSTER or an
 * ALTER gives every row another address, and chunks of addresses would lose rows.
 *
 * @throws {EbbError} when somebody has rewritten it
 */
export async function holdSource(session: ClientBase, work: CopyWork, { filenode }: SourceState): Promise<void> {
  await session.query(sql`lock table ${quoted(work.source)} in access share mode`.text)
  if ((await readFilenode(session, work)) === filenode) return
  throw new EbbError(
    `${display(work.source)} has been rewritten by somebody else (VACUUM FULL, CLUSTER, REPACK, TRUNCATE or ALTER TABLE)`,
    {
      state: 'The rows copied so far cannot be trusted any more; the table itself is untouched.',
      next: 'Undo the run with ebb abandon, and start again.',
    },
  )
}

async function readFilenode(session: ClientBase, work: CopyWork): Promise<string> {
  const { filenode } = await readOne<{ filenode: string }>(
    session,
    sql`
    select pg_relation_filenode(${quoted(work.source).text}::regclass)::text as filenode`,
  )
  return filenode
}

/**
 * Remembers a chunk in the transaction that fills the shadow with it. Nobody
 * waits for its WAL to reach the disk: when the server crashes, chunk and entry
 * are lost together, and the chunk is copied again. The end of the step is an
 * ordinary commit, and everything before it is safe from then on.
 */
export async function recordChunk(
  session: ClientBase,
  schema: string,
  runId: string,
  { first, end, keys }: Range,
  rows: number,
  milliseconds: number,
  transport: Transport,
): Promise<void> {
  await session.query('set local synchronous_commit = off')
  await session.query(sql`
    insert into ${at(schema, 'chunk')} (run_id, first, "end", by_column, from_key, to_key, rows, milliseconds, transport)
    values (${runId}, ${first}, ${end}, ${keys?.column ?? null}, ${keys?.from ?? null}, ${keys?.to ?? null}, ${rows}, ${milliseconds}, ${transport})`)
}
