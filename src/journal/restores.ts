import type { ClientBase } from 'pg'
import { readOne } from '../db/query.ts'
import type { TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { at } from './journal.ts'

/** What a restore has put back. */
export interface Restored {
  /** Rows of the objects restored. */
  readonly archived: number
  /** Of them, rows that were inserted. */
  readonly rows: number
  /** Rows that the table had with other values, and that have those archived now. */
  readonly overwritten: number
  /** Of the others: those that the table has with the same values; null, like the following, where no primary key shows which. */
  readonly present: number | null
  /** With other values, which were left as they are. */
  readonly differing: number | null
  /** Neither inserted nor there: another row has a unique value of theirs, or a trigger has refused them. */
  readonly refused: number | null
  /** Keys of the last two, as text; not of all if they are many. */
  readonly conflicts: readonly Conflict[]
}

export interface Conflict {
  readonly table: TableName
  readonly columns: readonly string[]
  readonly key: readonly string[]
}

/** So many are listed. */
const LISTED = 100

export const NOTHING_RESTORED: Restored = {
  archived: 0,
  rows: 0,
  overwritten: 0,
  present: 0,
  differing: 0,
  refused: 0,
  conflicts: [],
}

export function addedTo(before: Restored, more: Restored): Restored {
  const known = (one: number | null, other: number | null) => (one === null || other === null ? null : one + other)
  return {
    archived: before.archived + more.archived,
    rows: before.rows + more.rows,
    overwritten: before.overwritten + more.overwritten,
    present: known(before.present, more.present),
    differing: known(before.differing, more.differing),
    refused: known(before.refused, more.refused),
    conflicts: [...before.conflicts, ...more.conflicts].slice(0, LISTED),
  }
}

/** In the transaction that restores. */
export async function recordRestored(
  session: ClientBase,
  schema: string,
  runId: string,
  restored: Restored,
): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'run')} set outcome = ${JSON.stringify(restored)}::jsonb where id = ${runId}`)
}

export async function readRestored(session: ClientBase, schema: string, runId: string): Promise<Restored> {
  const { outcome } = await readOne<{ outcome: Restored | null }>(
    session,
    sql`select outcome from ${at(schema, 'run')} where id = ${runId}`,
  )
  return outcome ?? NOTHING_RESTORED
}
