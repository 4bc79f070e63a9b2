import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { at } from '../../journal/journal.ts'
import type { CopyWork } from '../../plan/copy/work.ts'
import { display } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { TableContext } from '../table-context.ts'
import { BlockWalk } from './block-walk.ts'
import type { SourceState } from './captured.ts'
import type { DoneChunk, Walk } from './chunk.ts'
import { columnOf, KeyWalk, mostRows } from './key-walk.ts'
import { readReach } from './copied-range.ts'

// How a copy reads the source: by blocks in order, or by an index if the kept rows are a small part. Both partition
// the rows: a row that does not change is in exactly one range.

/**
 * Resumes the walk that was started; a new one uses an index if PostgreSQL would read the kept rows through it rather
 * than scan the whole table.
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
    text: `the kept rows of ${display(work.source)} are read through an index on ${column.name}; the others are not read`,
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
