import type { ClientBase } from 'pg'
import type { Interval } from '../grid/interval.ts'
import { intervalText } from '../plan/language/moment.ts'
import type { TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { at } from './journal.ts'

/**
 * Keeps what the journal says of a table for so long, from now on and whichever command prunes. It is only ever
 * extended: two scheduled commands with different intervals must not delete what the other one keeps.
 */
export async function keepJournal(
  session: ClientBase,
  schema: string,
  table: TableName,
  keep: Interval,
): Promise<void> {
  await session.query(sql`
    insert into ${at(schema, 'journal_retention')} as kept (schema_name, table_name, keep)
    values (${table.schema}, ${table.name}, ${intervalText(keep)}::interval)
    on conflict (schema_name, table_name) do update
      set keep = excluded.keep, since = excluded.since, recorded_by = excluded.recorded_by
      where excluded.keep > kept.keep`)
}
