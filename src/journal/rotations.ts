import type { ClientBase } from 'pg'
import { FOREIGN_KEYS, IS_KEY_OF } from '../catalog/references/foreign-key.ts'
import { readAll } from '../db/session.ts'
import { fromText, toText } from '../grid/key.ts'
import type { BegunRetirement, Newest, RetirementEntry } from '../plan/rotate/begun.ts'
import type { TableName } from '../sql/names.ts'
import { raw, sql } from '../sql/sql.ts'
import { at } from './journal.ts'

// What rotate has done, is about to do, and has learned about the partitions of a set.

export type RotationAction = 'created' | 'detached' | 'dropped' | 'truncated' | 'finalized' | 'reattached'

/** A partition that was created or removed. */
export interface RotationEntry {
  readonly table: TableName
  readonly partition: TableName
  readonly action: RotationAction
  readonly from: string | null
  readonly to: string | null
  readonly bytes: number | null
  readonly estimatedRows: number | null
}

/** Records it; in the transaction that does it, if there is one. */
export async function recordRotation(session: ClientBase, schema: string, entry: RotationEntry): Promise<void> {
  const { table, partition, action, from, to, bytes, estimatedRows } = entry
  const rows = estimatedRows === null ? null : Math.round(estimatedRows)
  await session.query(sql`
    insert into ${at(schema, 'rotation')} (schema_name, table_name, partition_name, action, from_bound, to_bound, bytes, estimated_rows)
    values (${table.schema}, ${table.name}, ${partition.name}, ${action}, ${from}, ${to}, ${bytes}, ${rows})`)
}

/** Records that a partition is about to be detached, so that the next rotation knows why it was detached. */
export async function beginRetirement(session: ClientBase, schema: string, entry: RetirementEntry): Promise<void> {
  const { oid, table, partition, method, bounds, bytes, estimatedRows } = entry
  const rows = estimatedRows === null ? null : Math.round(estimatedRows)
  await session.query(sql`
    insert into ${at(schema, 'retirement')}
      (partition_oid, schema_name, table_name, partition_schema, partition_name, method, bounds, bytes, estimated_rows)
    values (${oid}, ${table.schema}, ${table.name}, ${partition.schema}, ${partition.name}, ${method}, ${bounds}, ${bytes}, ${rows})
    on conflict (partition_oid) do update set method = excluded.method, partition_schema = excluded.partition_schema,
      partition_name = excluded.partition_name, schema_name = excluded.schema_name, table_name = excluded.table_name,
      bounds = excluded.bounds, bytes = excluded.bytes, estimated_rows = excluded.estimated_rows, since = clock_timestamp()`)
}

/** The partition has been retired, or is kept after all. */
export async function endRetirement(session: ClientBase, schema: string, oid: string): Promise<void> {
  await session.query(sql`delete from ${at(schema, 'retirement')} where partition_oid = ${oid}`)
}

/** Retirements that earlier rotations have started and not finished. `gone` also if the oid has another name now. */
export async function begunRetirements(
  session: ClientBase,
  schema: string,
  table: TableName,
): Promise<BegunRetirement[]> {
  return readAll<BegunRetirement>(
    session,
    sql`
    select r.partition_oid::text as oid, json_build_object('schema', r.schema_name, 'name', r.table_name) as table,
      json_build_object('schema', r.partition_schema, 'name', r.partition_name) as partition,
      r.method, r.bounds, r.bytes::float8 as bytes, r.estimated_rows::float8 as "estimatedRows",
      case when c.oid is null then 'gone' when not c.relispartition then 'detached'
        when exists (select from pg_inherits h where h.inhrelid = c.oid and h.inhdetachpending) then 'detach pending' else 'attached' end as state,
      ${raw(FOREIGN_KEYS(['name', 'references'], IS_KEY_OF('c.oid')))} as "foreignKeys"
    from ${at(schema, 'retirement')} r
    left join (pg_class c join pg_namespace n on n.oid = c.relnamespace)
      on c.oid = r.partition_oid and c.relname = r.partition_name and n.nspname = r.partition_schema
    where r.schema_name = ${table.schema} and r.table_name = ${table.name} order by r.since, r.partition_oid`,
  )
}

/** Records the newest time of a partition that receives no more rows. */
export async function rememberNewest(
  session: ClientBase,
  schema: string,
  table: TableName,
  partition: { readonly oid: string; readonly name: TableName },
  newest: Newest,
): Promise<void> {
  await session.query(sql`
    insert into ${at(schema, 'closed_partition')} (partition_oid, schema_name, table_name, partition_name, newest)
    values (${partition.oid}, ${table.schema}, ${table.name}, ${partition.name.name}, ${asTimestamp(newest)})
    on conflict (partition_oid) do update set schema_name = excluded.schema_name, table_name = excluded.table_name,
      partition_name = excluded.partition_name, newest = excluded.newest, looked_at = clock_timestamp()`)
}

export async function forgetNewest(session: ClientBase, schema: string, oid: string): Promise<void> {
  await session.query(sql`delete from ${at(schema, 'closed_partition')} where partition_oid = ${oid}`)
}

/** The recorded times of a table's partitions, by oid. */
export async function rememberedNewest(
  session: ClientBase,
  schema: string,
  table: TableName,
): Promise<Map<string, Newest>> {
  const rows = await readAll<{ oid: string; newest: string | null }>(
    session,
    sql`
    select p.partition_oid::text as oid, p.newest::text as newest from ${at(schema, 'closed_partition')} p
    join pg_class c on c.oid = p.partition_oid and c.relname = p.partition_name
    where p.schema_name = ${table.schema} and p.table_name = ${table.name}`,
  )
  return new Map(rows.map(({ oid, newest }) => [oid, fromTimestamp(newest)]))
}

// Local times are stored as if they were UTC, like positions.
function asTimestamp(newest: Newest): string | null {
  if (newest === 'empty') return null
  return newest === 'never' ? 'infinity' : toText('timestamptz', newest)
}

function fromTimestamp(text: string | null): Newest {
  if (text === null) return 'empty'
  return text === 'infinity' ? 'never' : fromText('timestamptz', text)
}
