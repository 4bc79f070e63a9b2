import type { ClientBase } from 'pg'
import { readOne } from '../../db/session.ts'
import { EbbError } from '../../errors.ts'
import { at } from '../../journal/journal.ts'
import { sameKey } from '../../plan/copy-key.ts'
import type { CopyWork, Transport } from '../../plan/copy-work.ts'
import { display, quoted } from '../../sql/names.ts'
import { literal, raw, sql, type Sql } from '../../sql/sql.ts'
import type { SourceState } from './captured.ts'

/** A range of blocks of the source; `first` is inside, `end` is not. */
export interface BlockRange {
  readonly first: number
  readonly end: number
}

/**
 * The rows of a chunk that are to be copied: kept, and not in the log. One in
 * the log is set to its present state later, so copying it would only risk
 * having it twice: an update may have moved it to a block that comes later.
 */
export function chunkRows(work: CopyWork, { first, end }: BlockRange): Sql {
  const range = sql`s.ctid >= ${literal(`(${first},0)`)}::tid and s.ctid < ${literal(`(${end},0)`)}::tid`
  return sql`select ${raw(work.columns)} from ${quoted(work.source)} s where ${range} and ${kept(work)} and not exists (
    select from ${quoted(work.capture.log)} l where ${sameKey(work.capture.key, 'l', 's')})`
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
    `${display(work.source)} has been rewritten by somebody else (VACUUM FULL, CLUSTER, TRUNCATE or ALTER TABLE)`,
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

/** Remembers a chunk in the transaction that fills the shadow with it. */
export async function recordChunk(
  session: ClientBase,
  schema: string,
  runId: string,
  { first, end }: BlockRange,
  rows: number,
  milliseconds: number,
  transport: Transport,
): Promise<void> {
  await session.query(sql`
    insert into ${at(schema, 'chunk')} (run_id, first_block, end_block, rows, milliseconds, transport)
    values (${runId}, ${first}, ${end}, ${rows}, ${milliseconds}, ${transport})`)
}
