import type { ClientBase } from 'pg'
import { readAll } from '../db/query.ts'
import type { TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { at, hasTable } from './journal.ts'

// What rotations have done, for people to look at.

/** A partition that is one no longer, or has been emptied. */
export interface RemovedPartition {
  readonly table: TableName
  /** Its name then. */
  readonly partition: string
  readonly action: 'dropped' | 'detached' | 'truncated'
  readonly at: Date
  /** The bounds as PostgreSQL printed them; null for none, or where they were not recorded. */
  readonly from: string | null
  readonly to: string | null
  readonly bytes: number | null
  readonly estimatedRows: number | null
  /** Of the archive because of which its rows were removed; null without. */
  readonly archivedRows: number | null
}

/** Of all tables, as far as the journal still knows: what was created or attached again since is not in it. */
export async function removedPartitions(session: ClientBase, schema: string): Promise<RemovedPartition[]> {
  const archives = (await hasTable(session, schema, 'archive'))
    ? sql`select distinct on (schema_name, table_name, relation_name) schema_name, table_name, relation_name, begun_at, rows
        from ${at(schema, 'archive')} where removal is not null order by schema_name, table_name, relation_name, begun_at desc`
    : sql`select null::text as schema_name, null::text as table_name, null::text as relation_name, null::timestamptz as begun_at, null::bigint as rows where false`
  return readAll<RemovedPartition>(
    session,
    sql`
    with archived as (${archives}), removed as (
      select schema_name, table_name, partition_name, max(at) as at, (array_agg(action order by at desc, id desc))[1] as action,
        max(at) filter (where action in ('created', 'reattached')) as there_at,
        (array_agg(from_bound order by at desc) filter (where from_bound is not null))[1] as from_bound,
        (array_agg(to_bound order by at desc) filter (where to_bound is not null))[1] as to_bound,
        (array_agg(bytes order by at desc) filter (where bytes is not null))[1] as bytes,
        (array_agg(estimated_rows order by at desc) filter (where estimated_rows is not null))[1] as estimated_rows
      from ${at(schema, 'rotation')} where action <> 'finalized' group by 1, 2, 3)
    select json_build_object('schema', r.schema_name, 'name', r.table_name) as table, r.partition_name as partition, r.action, r.at,
      r.from_bound as from, r.to_bound as to, r.bytes::float8 as bytes, r.estimated_rows::float8 as "estimatedRows",
      a.rows::float8 as "archivedRows"
    from removed r left join archived a on a.schema_name = r.schema_name and a.table_name = r.table_name
      and a.relation_name = r.partition_name and a.begun_at > coalesce(r.there_at, '-infinity')
    where r.action in ('dropped', 'detached', 'truncated') order by r.schema_name, r.table_name, r.at, r.partition_name`,
  )
}

/** What rotations of a table have done in the last so many days. */
export interface RotatedLately {
  readonly table: TableName
  readonly created: number
  readonly detached: number
  /** Dropped or truncated. */
  readonly removed: number
  readonly removedBytes: number
}

/** Of all tables with which something was done. */
export async function rotatedLately(session: ClientBase, schema: string, days: number): Promise<RotatedLately[]> {
  return readAll<RotatedLately>(
    session,
    sql`
    select json_build_object('schema', schema_name, 'name', table_name) as table,
      count(*) filter (where action = 'created')::int as created, count(*) filter (where action = 'detached')::int as detached,
      count(*) filter (where action in ('dropped', 'truncated'))::int as removed,
      coalesce(sum(bytes) filter (where action in ('dropped', 'truncated')), 0)::float8 as "removedBytes"
    from ${at(schema, 'rotation')} where at > now() - make_interval(days => ${days})
    group by schema_name, table_name order by schema_name, table_name`,
  )
}

/** The archives of a table that have a receipt. */
export interface ArchivedOfTable {
  readonly table: TableName
  readonly archives: number
  readonly rows: number
  /** As stored. */
  readonly bytes: number
  readonly latest: Date
}

/** Of all tables that have any. */
export async function archivesByTable(session: ClientBase, schema: string): Promise<ArchivedOfTable[]> {
  if (!(await hasTable(session, schema, 'archive'))) return []
  return readAll<ArchivedOfTable>(
    session,
    sql`
    select json_build_object('schema', schema_name, 'name', table_name) as table, count(*)::int as archives,
      coalesce(sum(rows), 0)::float8 as rows, coalesce(sum(bytes), 0)::float8 as bytes, max(receipt_at) as latest
    from ${at(schema, 'archive')} where receipt_uri is not null group by schema_name, table_name order by schema_name, table_name`,
  )
}
