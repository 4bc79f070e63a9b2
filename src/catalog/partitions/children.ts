import type { ClientBase } from 'pg'
import { readAllPrepared, readOne } from '../../db/query.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

/** The partitions of a table by name. */
export async function readChildren(client: ClientBase, parent: TableName): Promise<TableName[]> {
  return (await readIdentities(client, parent)).map(({ name }) => name)
}

/** The same with their oids. */
export function readIdentities(client: ClientBase, parent: TableName): Promise<Identity[]> {
  return readAllPrepared<Identity>(
    client,
    sql`
    select json_build_object('schema', n.nspname, 'name', c.relname) as name, c.oid::text as oid
    from pg_inherits h join pg_class c on c.oid = h.inhrelid join pg_namespace n on n.oid = c.relnamespace
    where h.inhparent = to_regclass(${quoted(parent).text}) order by c.relname`,
  )
}

export interface Identity {
  readonly name: TableName
  readonly oid: string
}

/** Whether there is no row in a table. */
export async function isEmpty(client: ClientBase, table: TableName): Promise<boolean> {
  return (await readOne<{ empty: boolean }>(client, sql`select not exists (select from ${quoted(table)}) as empty`))
    .empty
}
