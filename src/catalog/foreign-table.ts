import type { ClientBase } from 'pg'
import { forAMoment } from '../db/for-a-moment.ts'
import { readAll, readOne } from '../db/query.ts'
import type { TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'

/** A foreign table: its rows are not of this database. */
export interface ForeignTable {
  /** The foreign server, by its name here. */
  readonly server: string
  /** What it is called there; null where its wrapper is another than postgres_fdw. */
  readonly there: TableName | null
  /** The table that it is a partition of; null where there is none. */
  readonly partitionOf: TableName | null
}

/** Null where it is no foreign table. The other server is not asked. No query in most databases, where there is none. */
export async function readForeignTable(client: ClientBase, { schema, name }: TableName): Promise<ForeignTable | null> {
  if (!(await forAMoment(client, 'foreign tables', () => areThere(client)))) return null
  const [found] = await readAll<ForeignTable>(
    client,
    sql`
    select s.srvname as server,
      case when w.fdwname = 'postgres_fdw' then json_build_object('schema', coalesce(o.schema, n.nspname), 'name', coalesce(o.name, c.relname)) end as there,
      (select json_build_object('schema', pn.nspname, 'name', p.relname) from pg_inherits h join pg_class p on p.oid = h.inhparent
        join pg_namespace pn on pn.oid = p.relnamespace where h.inhrelid = c.oid and p.relkind = 'p') as "partitionOf"
    from pg_foreign_table f join pg_class c on c.oid = f.ftrelid join pg_namespace n on n.oid = c.relnamespace
      join pg_foreign_server s on s.oid = f.ftserver join pg_foreign_data_wrapper w on w.oid = s.srvfdw,
      lateral (select max(option_value) filter (where option_name = 'schema_name') as schema,
        max(option_value) filter (where option_name = 'table_name') as name from pg_options_to_table(f.ftoptions)) o
    where n.nspname = ${schema} and c.relname = ${name}`,
  )
  return found ?? null
}

async function areThere(client: ClientBase): Promise<boolean> {
  return (await readOne<{ are: boolean }>(client, sql`select exists (select from pg_foreign_table) as are`)).are
}
