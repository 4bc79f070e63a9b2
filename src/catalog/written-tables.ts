import type { ClientBase } from 'pg'
import { readAll } from '../db/query.ts'
import type { TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'

/** A table as a whole, with all its partitions, and what PostgreSQL has counted of it since a statistics reset. */
export interface WrittenTable {
  readonly name: TableName
  readonly partitioned: boolean
  /** With indexes and TOAST. */
  readonly bytes: number
  /** As the planner believes; null when never analysed. */
  readonly rows: number | null
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
}

/** The tables of a database that hold anything, the largest first, without those of PostgreSQL, extensions and the journal. */
export async function readWrittenTables(client: ClientBase, journalSchema: string): Promise<WrittenTable[]> {
  return readAll<WrittenTable>(
    client,
    sql`
    select json_build_object('schema', n.nspname, 'name', c.relname) as name, c.relkind = 'p' as partitioned, t.*
    from pg_class c join pg_namespace n on n.oid = c.relnamespace, lateral (
      select coalesce(sum(pg_total_relation_size(l.oid)), 0)::float8 as bytes, sum(nullif(l.reltuples, -1))::float8 as rows,
        coalesce(sum(pg_stat_get_tuples_inserted(l.oid)), 0)::float8 as inserted,
        coalesce(sum(pg_stat_get_tuples_updated(l.oid)), 0)::float8 as updated,
        coalesce(sum(pg_stat_get_tuples_deleted(l.oid)), 0)::float8 as deleted
      from (select c.oid where c.relkind = 'r' union all select relid from pg_partition_tree(c.oid) where c.relkind = 'p') own
      join pg_class l on l.oid = own.oid and l.relkind = 'r') t
    where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
      and n.nspname !~ '^(pg_|_timescaledb)' and n.nspname not in ('information_schema', ${journalSchema})
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
      and t.bytes > 0
    order by t.bytes desc, n.nspname, c.relname`,
  )
}
