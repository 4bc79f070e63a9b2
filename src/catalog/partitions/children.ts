import type { ClientBase } from 'pg'
import { readAll, readOne } from '../../db/session.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

/** The partitions of a table by name. */
export async function readChildren(client: ClientBase, parent: TableName): Promise<TableName[]> {
  const rows = await readAll<{ schema: string; name: string }>(
    client,
    sql`
    select n.nspname as schema, c.relname as name
    from pg_inherits h join pg_class c on c.oid = h.inhrelid join pg_namespace n on n.oid = c.relnamespace
    where h.inhparent = to_regclass(${quoted(parent).text}) order by c.relname`,
  )
  return rows.map(({ schema, name }) => ({ schema, name }))
}

/** Whether there is no row in a table. */
export async function isEmpty(client: ClientBase, table: TableName): Promise<boolean> {
  return (await readOne<{ empty: boolean }>(client, sql`select not exists (select from ${quoted(table)}) as empty`))
    .empty
}
