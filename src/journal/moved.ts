import type { ClientBase } from 'pg'
import { readAll, readOne } from '../db/query.ts'
import type { MovedPartition } from '../plan/rotate/moved.ts'
import { quoted, type TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { at } from './journal.ts'
import { fromTimestamp } from './rotations.ts'

// Which partitions of a table are on other servers, and by which token the tables there are known to be ours.

/** Records it, in the transaction that puts the foreign table in the place of the partition. */
export async function recordMoved(
  session: ClientBase,
  schema: string,
  table: TableName,
  partition: { readonly oid: string },
  { server, there, token, bounds }: Pick<MovedPartition, 'server' | 'there' | 'token' | 'bounds'>,
): Promise<void> {
  await session.query(sql`
    insert into ${at(schema, 'moved_partition')}
      (server, there_schema, there_name, token, schema_name, table_name, table_oid, bounds, newest)
    values (${server}, ${there.schema}, ${there.name}, ${token}, ${table.schema}, ${table.name}, to_regclass(${quoted(table).text}), ${bounds},
      (select coalesce(newest, '-infinity') from ${at(schema, 'closed_partition')} where partition_oid = ${partition.oid}))
    on conflict (server, there_schema, there_name) do update set token = excluded.token, schema_name = excluded.schema_name,
      table_name = excluded.table_name, table_oid = excluded.table_oid, bounds = excluded.bounds, newest = excluded.newest,
      moved_at = excluded.moved_at, released_at = null`)
}

/** Those of a table, also if it was renamed since; the oldest move first. */
export async function movedPartitions(
  session: ClientBase,
  schema: string,
  table: TableName,
): Promise<MovedPartition[]> {
  const journal = at(schema, 'moved_partition')
  // A journal that was made by an earlier version, and is only looked at.
  const { known } = await readOne<{ known: boolean }>(
    session,
    sql`select to_regclass(${journal.text}) is not null as known`,
  )
  if (!known) return []
  const itself = sql`to_regclass(${quoted(table).text})::oid`
  const rows = await readAll<Omit<MovedPartition, 'newest'> & { readonly newest: string | null }>(
    session,
    sql`
    with foreign_partition as (
      select f.ftrelid::text as oid, s.srvname as server,
        (select option_value from pg_options_to_table(f.ftoptions) where option_name = 'schema_name') as schema,
        (select option_value from pg_options_to_table(f.ftoptions) where option_name = 'table_name') as name
      from pg_inherits h join pg_foreign_table f on f.ftrelid = h.inhrelid join pg_foreign_server s on s.oid = f.ftserver
      where h.inhparent = ${itself}
    )
    select m.server, json_build_object('schema', m.there_schema, 'name', m.there_name) as there, m.token, m.bounds,
      m.newest::text as newest, f.oid, m.released_at is not null as released
    from ${journal} m
    left join foreign_partition f on f.server = m.server and f.schema = m.there_schema and f.name = m.there_name
    where m.table_oid = ${itself} or (m.schema_name = ${table.schema} and m.table_name = ${table.name})
    order by m.moved_at, m.there_schema, m.there_name`,
  )
  return rows.map((row) => ({ ...row, newest: row.newest === null ? null : newestOf(row.newest) }))
}

function newestOf(text: string) {
  return text === '-infinity' ? 'empty' : fromTimestamp(text)
}

/** Nothing here reads the table there any more; in the transaction that drops the foreign table. */
export async function releaseMoved(session: ClientBase, schema: string, token: string): Promise<void> {
  await session.query(
    sql`update ${at(schema, 'moved_partition')} set released_at = clock_timestamp() where token = ${token}`,
  )
}

/** It is gone there as well. */
export async function forgetMoved(session: ClientBase, schema: string, token: string): Promise<void> {
  await session.query(sql`delete from ${at(schema, 'moved_partition')} where token = ${token}`)
}
