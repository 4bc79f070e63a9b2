import type { ClientBase } from 'pg'
import { WRITE_TRIGGER } from '../catalog/partitions/own-parts.ts'
import { DEPENDENTS } from '../catalog/partitions/parts.ts'
import { FOREIGN_KEYS, IS_KEY_OF } from '../catalog/references/foreign-key.ts'
import { readAll, readOne } from '../db/query.ts'
import { inTransaction } from '../db/transaction.ts'
import { displayInterval, parseInterval } from '../grid/interval.ts'
import { fromText, toText } from '../grid/key.ts'
import type { BegunRetirement, Newest, RetirementEntry } from '../plan/rotate/begun.ts'
import { quoted, type TableName } from '../sql/names.ts'
import { raw, sql, type Sql } from '../sql/sql.ts'
import { at } from './journal.ts'

// What rotate has done, is about to do, and has learned about the partitions of a set.

export type RotationAction =
  'created' | 'detached' | 'dropped' | 'truncated' | 'moved' | 'rewritten' | 'finalized' | 'reattached'

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

/** What has been recorded since a moment, in microseconds since the epoch: actions by the name of the partition. */
export async function rotatedSince(
  session: ClientBase,
  schema: string,
  table: TableName,
  moment: string,
): Promise<Map<string, Set<string>>> {
  const rows = await readAll<{ name: string; actions: string[] }>(
    session,
    sql`
    select partition_name as name, array_agg(action) as actions from ${at(schema, 'rotation')}
    where schema_name = ${table.schema} and table_name = ${table.name}
      and at >= timestamptz 'epoch' + ${moment}::bigint * interval '1 microsecond'
    group by 1`,
  )
  return new Map(rows.map(({ name, actions }) => [name, new Set(actions)]))
}

/** Records that a partition is about to be detached, so that the next rotation knows why it was detached. */
export async function beginRetirement(session: ClientBase, schema: string, entry: RetirementEntry): Promise<void> {
  const { oid, table, partition, method, bounds, bytes, estimatedRows, grace } = entry
  const rows = estimatedRows === null ? null : Math.round(estimatedRows)
  const stays = grace === null ? null : displayInterval(grace)
  await session.query(sql`
    insert into ${at(schema, 'retirement')}
      (partition_oid, schema_name, table_name, partition_schema, partition_name, method, bounds, bytes, estimated_rows,
       grace, table_oid, row_type_oid, bounds_check)
    values (${oid}, ${table.schema}, ${table.name}, ${partition.schema}, ${partition.name}, ${method}, ${bounds}, ${bytes}, ${rows},
      ${stays}, to_regclass(${quoted(table).text}), (select reltype from pg_class where oid = ${oid}),
      format('CHECK (%s)', pg_get_partition_constraintdef(${oid}::oid)))
    on conflict (partition_oid) do update set method = excluded.method, partition_schema = excluded.partition_schema,
      partition_name = excluded.partition_name, schema_name = excluded.schema_name, table_name = excluded.table_name,
      bounds = excluded.bounds, bytes = excluded.bytes, estimated_rows = excluded.estimated_rows, since = clock_timestamp(),
      grace = excluded.grace, detached_at = null, table_oid = excluded.table_oid, row_type_oid = excluded.row_type_oid, bounds_check = excluded.bounds_check`)
}

/**
 * The tokens of a move to a server that has begun, by which a copy of the partition is known to be ours; the last one is for
 * the next copy.
 */
export async function moveTokens(session: ClientBase, schema: string, oid: string, server: string): Promise<string[]> {
  const { tokens } = await readOne<{ tokens: string }>(
    session,
    sql`update ${at(schema, 'retirement')} set token = coalesce(token, gen_random_uuid()::text), server = ${server} where partition_oid = ${oid} returning token as tokens`,
  )
  return tokens.split(' ')
}

/** A token that nobody knows who has read this journal before: durable when this returns. */
export async function addMoveToken(session: ClientBase, schema: string, oid: string): Promise<string> {
  return inTransaction(session, { local: ['synchronous_commit = on'] }, async () => {
    const { token } = await readOne<{ token: string }>(
      session,
      sql`
      with fresh as (select gen_random_uuid()::text as token)
      update ${at(schema, 'retirement')} r set token = concat_ws(' ', r.token, fresh.token) from fresh
      where r.partition_oid = ${oid} returning fresh.token`,
    )
    return token
  })
}

/** What a partition is copied into; in the transaction that makes it. */
export async function recordCopy(session: ClientBase, schema: string, oid: string, copied: TableName): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'retirement')} set copy_oid = to_regclass(${quoted(copied).text}) where partition_oid = ${oid}`)
}

/** That its copy has taken its place; in the transaction that exchanges them. */
export async function recordExchanged(session: ClientBase, schema: string, oid: string): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'retirement')} set copy_oid = null, detached_at = clock_timestamp() where partition_oid = ${oid}`)
}

/** Whether a watched relation has been written to. Under a lock that keeps writers away, it stays so. */
export async function isWritten(session: ClientBase, schema: string, oid: string): Promise<boolean> {
  const marks = await readAll(
    session,
    sql`select from ${at(schema, 'archived_write')} where relation_oid in (select ${oid}::oid union select relid from pg_partition_tree(${oid}::oid)) limit 1`,
  )
  return marks.length > 0
}

/** It is watched from now on, and so its grace period begins, also of one that was watched before and no longer was. */
export async function recordDetached(session: ClientBase, schema: string, oid: string): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'retirement')} set detached_at = clock_timestamp() where partition_oid = ${oid}`)
}

/** The partition has been retired, or is kept after all. */
export async function endRetirement(session: ClientBase, schema: string, oid: string): Promise<void> {
  await session.query(sql`delete from ${at(schema, 'retirement')} where partition_oid = ${oid}`)
}

/** Retirements that earlier rotations of a table have started and not finished, also if it was renamed since. */
export async function begunRetirements(
  session: ClientBase,
  schema: string,
  table: TableName,
): Promise<BegunRetirement[]> {
  const itself = sql`to_regclass(${quoted(table).text})::oid`
  return readBegun(
    session,
    schema,
    sql`(r.schema_name = ${table.schema} and r.table_name = ${table.name}) or (to_jsonb(r) ->> 'table_oid')::oid = ${itself}`,
  )
}

/** That of a table which was a partition; undefined where it is none that was detached. */
export async function begunRetirementOf(
  session: ClientBase,
  schema: string,
  partition: TableName,
): Promise<BegunRetirement | undefined> {
  const begun = await readBegun(session, schema, sql`p.oid = to_regclass(${quoted(partition).text})`)
  return begun.find(({ state }) => state === 'detached' || state === 'renamed')
}

/** That of a partition, wherever it is. */
export async function begunRetirementsOf(session: ClientBase, schema: string, oid: string): Promise<BegunRetirement[]> {
  return readBegun(session, schema, sql`r.partition_oid = ${oid}`)
}

/** Those of all tables. */
export async function allBegunRetirements(session: ClientBase, schema: string): Promise<BegunRetirement[]> {
  return readBegun(session, schema, sql`true`)
}

/**
 * Another table may have the name of a partition by now, and in a restored database its oid. In a journal that was made
 * by an earlier version, and is only looked at, some columns are not there yet.
 */
async function readBegun(session: ClientBase, schema: string, condition: Sql): Promise<BegunRetirement[]> {
  const [known] = await readAll<{ marks: boolean }>(
    session,
    sql`select to_regclass(${at(schema, 'archived_write').text}) is not null as marks from ${at(schema, 'retirement')} limit 1`,
  )
  if (known === undefined) return []
  const written = known.marks
    ? sql`exists (select from ${at(schema, 'archived_write')} w where w.relation_oid = p.oid or w.relation_oid in (select relid from pg_partition_tree(p.oid)))`
    : sql`false`
  const rows = await readAll<Omit<BegunRetirement, 'grace'> & { readonly grace: string | null }>(
    session,
    sql`
    select r.partition_oid::text as oid, json_build_object('schema', r.schema_name, 'name', r.table_name) as table,
      json_build_object('schema', r.partition_schema, 'name', r.partition_name) as partition,
      json_build_object('schema', coalesce(n.nspname, r.partition_schema), 'name', coalesce(p.relname, r.partition_name)) as called,
      r.method, r.bounds, r.bytes::float8 as bytes, r.estimated_rows::float8 as "estimatedRows",
      to_jsonb(r) ->> 'grace' as grace, coalesce((to_jsonb(r) ->> 'detached_at')::timestamptz, r.since) as "detachedAt",
      case when p.oid is null then 'gone'
        when exists (select from pg_inherits h where h.inhrelid = p.oid and h.inhdetachpending) then 'detach pending'
        when p.relispartition then 'attached'
        when (p.relname, n.nspname) <> (r.partition_name, r.partition_schema) then 'renamed' else 'detached' end as state,
      not exists (select from (select p.oid as relid union select relid from pg_partition_tree(p.oid)) l
        where not exists (select from pg_trigger g where g.tgrelid = l.relid and g.tgname = ${WRITE_TRIGGER} and g.tgenabled = 'A')) as watched,
      r.method = 'columnar' and to_jsonb(r) ->> 'detached_at' is not null as replaced,
      (select json_build_object('oid', o.oid::text, 'name', json_build_object('schema', q.nspname, 'name', o.relname)) from pg_class o join pg_namespace q on q.oid = o.relnamespace
        where o.oid = (to_jsonb(r) ->> 'copy_oid')::oid and not o.relispartition) as copy,
      case when to_jsonb(r) ->> 'token' is not null then json_build_object('server', to_jsonb(r) ->> 'server', 'tokens', string_to_array(to_jsonb(r) ->> 'token', ' ')) end as sent,
      ${written} as written, coalesce(p.relkind = 'p', false) as divided,
      exists (select from pg_constraint k where k.conrelid = p.oid and k.contype = 'c' and k.convalidated
        and pg_get_constraintdef(k.oid) = to_jsonb(r) ->> 'bounds_check') as "provesBounds",
      ${raw(FOREIGN_KEYS(['name', 'references'], IS_KEY_OF('p.oid')))} as "foreignKeys", ${raw(DEPENDENTS)} as dependents
    from ${at(schema, 'retirement')} r
    left join (pg_class p join pg_namespace n on n.oid = p.relnamespace) on p.oid = r.partition_oid
      and ((p.relname = r.partition_name and n.nspname = r.partition_schema) or p.reltype = (to_jsonb(r) ->> 'row_type_oid')::oid)
    where ${condition} order by r.since, r.partition_oid`,
  )
  return rows.map((row) => ({ ...row, grace: row.grace === null ? null : parseInterval(row.grace) }))
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

export function fromTimestamp(text: string | null): Newest {
  if (text === null) return 'empty'
  return text === 'infinity' ? 'never' : fromText('timestamptz', text)
}
