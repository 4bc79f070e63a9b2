import type { ClientBase } from 'pg'
import { readAllPrepared, readOne } from '../db/query.ts'
import type { Differences, KeyText } from '../plan/copy/comparison.ts'
import { sql } from '../sql/sql.ts'
import { at } from './journal.ts'

/** A range of keys that has been compared. */
export interface ComparedRange {
  readonly number: number
  /** Its last key; null for the last range, which is unbounded. */
  readonly upto: KeyText | null
  /** Rows of the target. */
  readonly rows: number
  readonly differences: Differences | null
  readonly milliseconds: number
}

/** Records a range. One query. */
export async function recordRange(
  session: ClientBase,
  schema: string,
  runId: string,
  { number, upto, rows, differences, milliseconds }: ComparedRange,
): Promise<void> {
  await session.query(sql`
    insert into ${at(schema, 'comparison')} (run_id, number, upto, rows, differences, milliseconds)
    values (${runId}, ${number}, ${upto}, ${rows}, ${differences === null ? null : JSON.stringify(differences)}, ${milliseconds})`)
}

/** The progress of a comparison: the last range, and the rows of all; undefined before the first. */
export async function comparedSoFar(
  session: ClientBase,
  schema: string,
  runId: string,
): Promise<Pick<ComparedRange, 'number' | 'upto' | 'rows'> | undefined> {
  const [last] = await readAllPrepared<{ number: number; upto: string[] | null; rows: number }>(
    session,
    sql`
    select number::float8 as number, upto, (select sum(rows) from ${at(schema, 'comparison')} where run_id = ${runId})::float8 as rows
    from ${at(schema, 'comparison')} where run_id = ${runId} order by number desc limit 1`,
  )
  return last
}

/** The differences in the ranges of a run, in order, and their total number of rows. */
export async function foundDifferences(
  session: ClientBase,
  schema: string,
  runId: string,
): Promise<{ rows: number; differences: readonly Differences[] }> {
  return readOne(
    session,
    sql`
    select coalesce(sum(rows), 0)::float8 as rows,
      coalesce(jsonb_agg(differences order by number) filter (where differences is not null), '[]') as differences
    from ${at(schema, 'comparison')} where run_id = ${runId}`,
  )
}

/** A run that is resumed after a difference compares everything again. */
export async function forgetRanges(session: ClientBase, schema: string, runId: string): Promise<void> {
  await session.query(sql`delete from ${at(schema, 'comparison')} where run_id = ${runId}`)
}
