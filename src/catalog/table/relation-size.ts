import type { ClientBase } from 'pg'
import { readAllPrepared } from '../../db/query.ts'
import type { TableName } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'
import { ESTIMATED_ROWS } from './json-parts.ts'

/** How large a table is, with indexes, TOAST and partitions. */
export interface RelationSize {
  readonly name: TableName
  /** As the planner believes; null where it was never analysed. */
  readonly estimatedRows: number | null
  readonly bytes: number
}

/** The sizes of those of the tables that are there. */
export async function readRelationSizes(client: ClientBase, tables: readonly TableName[]): Promise<RelationSize[]> {
  return readAllPrepared<RelationSize>(
    client,
    // The tree of a plain table is empty. Not by to_regclass: that fails in a schema that the role may not use.
    sql`
    select json_build_object('schema', n.nspname, 'name', c.relname) as name,
      (select case when count(r.rows) = count(*) then sum(r.rows) end from pg_class f, lateral (select ${raw(ESTIMATED_ROWS('f'))} as rows) r where f.oid = any (leaves)) as "estimatedRows",
      (select coalesce(sum(pg_total_relation_size(f)), 0) from unnest(leaves) f)::float8 as bytes
    from unnest(${tables.map(({ schema }) => schema)}::text[], ${tables.map(({ name }) => name)}::text[]) with ordinality w (schema, name, position)
      join pg_namespace n on n.nspname = w.schema join pg_class c on c.relnamespace = n.oid and c.relname = w.name
      cross join lateral (select case when c.relkind = 'p' then array(select relid::oid from pg_partition_tree(c.oid) where isleaf)
        else array[c.oid] end as leaves) l
    order by w.position`,
  )
}
