import type { ClientBase } from 'pg'
import { readOne } from '../db/session.ts'
import { sql } from '../sql/sql.ts'
import { at } from './journal.ts'

/** What a restore has put back. */
export interface Restored {
  /** Rows of the objects restored. */
  readonly archived: number
  /** Of them, rows that were inserted. */
  readonly rows: number
  /** Of the others, those that the table has with other values; null where no primary key shows which. */
  readonly differing: number | null
}

/** Adds what a transaction restores to the outcome of its run. */
export async function addRestored(session: ClientBase, schema: string, runId: string, more: Restored): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'run')} set outcome = json_build_object(
      'archived', coalesce((outcome ->> 'archived')::float8, 0) + ${more.archived}::float8,
      'rows', coalesce((outcome ->> 'rows')::float8, 0) + ${more.rows}::float8,
      'differing', case when ${more.differing}::float8 is null then null else coalesce((outcome ->> 'differing')::float8, 0) + ${more.differing}::float8 end)
    where id = ${runId}`)
}

export async function readRestored(session: ClientBase, schema: string, runId: string): Promise<Restored> {
  const { outcome } = await readOne<{ outcome: Restored | null }>(
    session,
    sql`select outcome from ${at(schema, 'run')} where id = ${runId}`,
  )
  return outcome ?? { archived: 0, rows: 0, differing: 0 }
}
