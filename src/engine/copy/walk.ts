import { inTransaction, readAll, type Session } from '../../db/session.ts'
import { at } from '../../journal/journal.ts'
import type { CopyWork } from '../../plan/copy/work.ts'
import { display } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { TableContext } from '../table-context.ts'
import { BlockWalk } from './block-walk.ts'
import type { SourceState } from './captured.ts'
import type { Range } from './chunk.ts'
import { columnOf, KeyWalk, mostRows } from './key-walk.ts'
import { readReach } from './copied-range.ts'

// How a copy gets through the source: by blocks, one after the other, or by an
// index of which the kept rows are a small part. Both divide the rows once and
// for all: a row that does not change is in exactly one range.

/** Gives out the ranges that are still to be copied, each once. */
export interface Walk {
  readonly unit: 'blocks' | 'rows'
  /** In `unit`; of a walk by keys as the planner estimates. */
  readonly total: number
  /** In `unit`: copied before this walk began. */
  readonly begun: number
  /** Sizes of chunks, in `unit`. */
  readonly firstSize: number
  readonly maxSize: number
  /** The next range of about `size`; undefined when nothing is left. */
  next(size: number, session: Session): Promise<Range | undefined>
  /** Gives out nothing more. */
  close(): void
}

/** A chunk that the journal has. */
export interface DoneChunk {
  readonly first: number
  readonly end: number
  readonly byColumn: string | null
  readonly from: string | null
  readonly to: string | null
  readonly rows: number
}

/**
 * Goes on with the walk that was begun; a new one goes by an index where
 * PostgreSQL would reach the kept rows by it rather than read the whole table.
 */
export async function openWalk(
  work: CopyWork,
  runId: string,
  state: SourceState,
  context: TableContext,
): Promise<Walk> {
  const { session, journalSchema, copySizes, observer } = context
  const done = await doneChunks(session, journalSchema, runId)
  const reach = await inTransaction(session, { readOnly: true }, () => readReach(session, work, mostRows(copySizes)))
  const begunBy = done[0]?.byColumn ?? null
  const column = done.length === 0 ? reach.column : begunBy === null ? null : await columnOf(session, work, begunBy)
  if (column === null) return new BlockWalk(state.blocks, done, copySizes.chunkBlocks)
  observer({
    type: 'note',
    text: `the kept rows of ${display(work.source)} are reached by an index on ${column.name}, so the others are not read`,
  })
  return new KeyWalk(work, column, reach.rows, done, mostRows(copySizes))
}

function doneChunks(session: Session, schema: string, runId: string): Promise<DoneChunk[]> {
  return readAll<DoneChunk>(
    session,
    sql`
    select first::float8 as first, "end"::float8 as "end", by_column as "byColumn", from_key as "from", to_key as "to", rows::float8 as rows
    from ${at(schema, 'chunk')} where run_id = ${runId} order by first`,
  )
}
