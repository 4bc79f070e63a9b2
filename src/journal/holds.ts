import type { ClientBase } from 'pg'
import { readAll, readOne } from '../db/session.ts'
import type { Interval } from '../grid/interval.ts'
import type { Hold } from '../plan/language/hold.ts'
import { intervalText } from '../plan/language/moment.ts'
import type { TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { at } from './journal.ts'

/** Holds what a run restores, from now on: once for each table. */
export async function holdRows(
  session: ClientBase,
  schema: string,
  runId: string,
  { table, bounds, keep }: { readonly table: TableName; readonly bounds: string | null; readonly keep: Interval },
): Promise<void> {
  await session.query(sql`
    insert into ${at(schema, 'hold')} (schema_name, table_name, bounds, until, run_id)
    select ${table.schema}, ${table.name}, ${bounds}, clock_timestamp() + ${intervalText(keep)}::interval, ${runId}::bigint
    where not exists (select from ${at(schema, 'hold')} where run_id = ${runId}::bigint and schema_name = ${table.schema}
      and table_name = ${table.name} and bounds is not distinct from ${bounds})`)
}

/** The holds in force, of one table or all. A journal of an earlier version has none. */
export async function holdsInForce(session: ClientBase, schema: string, table?: TableName): Promise<Hold[]> {
  const { there } = await readOne<{ there: boolean }>(
    session,
    sql`select to_regclass(${at(schema, 'hold').text}) is not null as there`,
  )
  if (!there) return []
  const ofTable = table === undefined ? sql`true` : sql`schema_name = ${table.schema} and table_name = ${table.name}`
  return readAll<Hold>(
    session,
    sql`
    select json_build_object('schema', schema_name, 'name', table_name) as table, bounds, until, run_id::text as "runId"
    from ${at(schema, 'hold')} where until > clock_timestamp() and ${ofTable} order by until, id`,
  )
}
