import type { ClientBase } from 'pg'
import { readAll, readOne } from '../db/query.ts'
import type { Interval } from '../grid/interval.ts'
import type { Hold, HoldAround } from '../plan/language/hold.ts'
import { intervalText } from '../plan/language/moment.ts'
import { quoted, type TableName } from '../sql/names.ts'
import { raw, sql, type Sql } from '../sql/sql.ts'
import { at, hasTable } from './journal.ts'

/**
 * Holds what a run restores, or what is attached again by no run, from now on. A hold on the same range that is in force
 * is extended: rows that are restored again are held longer, not twice.
 */
export async function holdRows(
  session: ClientBase,
  schema: string,
  runId: string | null,
  { table, bounds, keep }: { readonly table: TableName; readonly bounds: string | null; readonly keep: Interval },
): Promise<void> {
  await session.query(sql`
    with held (until) as (select clock_timestamp() + ${intervalText(keep)}::interval),
    there as (
      select h.id from ${at(schema, 'hold')} h where ${IN_FORCE} and h.schema_name = ${table.schema}
        and h.table_name = ${table.name} and h.bounds is not distinct from ${bounds}),
    extended as (
      update ${at(schema, 'hold')} h set until = held.until, run_id = ${runId}::bigint
      from held where h.id in (select id from there) and h.until < held.until)
    insert into ${at(schema, 'hold')} (schema_name, table_name, bounds, until, run_id)
    select ${table.schema}, ${table.name}, ${bounds}, held.until, ${runId}::bigint from held where not exists (select from there)`)
}

/** Which holds are in force, as a digest. The newest number would not do: one with a lower number may be committed later. */
export async function digestOfHolds(session: ClientBase, schema: string): Promise<string> {
  const { digest } = await readOne<{ digest: string }>(
    session,
    sql`select md5(coalesce(string_agg(h.key, ' ' order by h.key), '')) as digest from ${ALL_HOLDS(schema)} h where ${IN_FORCE}`,
  )
  return digest
}

/** All holds in force. */
export async function holdsInForce(session: ClientBase, schema: string): Promise<Hold[]> {
  if (!(await hasHolds(session, schema))) return []
  return readAll<Hold>(session, sql`select ${HOLD} from ${ALL_HOLDS(schema)} h where ${IN_FORCE} order by until, key`)
}

/** Those of a table, of the tables that it is a partition of, and of its partitions; heirs are taken for partitions. */
export async function holdsAround(session: ClientBase, schema: string, table: TableName): Promise<HoldAround[]> {
  if (!(await hasHolds(session, schema))) return []
  return readAll<HoldAround>(
    session,
    sql`
    with recursive
    above (oid) as (
      select to_regclass(${quoted(table).text})::oid
      union select i.inhparent from pg_inherits i join above a on i.inhrelid = a.oid),
    -- With the partition that each is, or is part of; also of those that are detached and not dropped yet.
    below (oid, partition) as (
      select i.inhrelid, i.inhrelid from pg_inherits i where i.inhparent = to_regclass(${quoted(table).text})
      union select r.partition_oid, r.partition_oid from ${at(schema, 'retirement')} r
        where (r.schema_name = ${table.schema} and r.table_name = ${table.name}) or (to_jsonb(r) ->> 'table_oid')::oid = to_regclass(${quoted(table).text})
      union select i.inhrelid, b.partition from pg_inherits i join below b on i.inhparent = b.oid)
    select ${HOLD}, case when c.oid = to_regclass(${quoted(table).text}) then 'itself'
      when c.oid in (select oid from above) then 'above' else 'below' end as "where",
      (select json_build_object('schema', pn.nspname, 'name', p.relname) from below b
        join pg_class p on p.oid = b.partition join pg_namespace pn on pn.oid = p.relnamespace where b.oid = c.oid limit 1) as partition
    from ${ALL_HOLDS(schema)} h
    join pg_namespace n on n.nspname = h.schema_name join pg_class c on c.relnamespace = n.oid and c.relname = h.table_name
    where ${IN_FORCE} and (c.oid in (select oid from above) or c.oid in (select oid from below)) order by until, key`,
  )
}

const HOLD = raw(
  `json_build_object('schema', h.schema_name, 'name', h.table_name) as table, h.bounds, h.until, h.run_id::text as "runId", h.reason`,
)
/** Those of restored rows, and those of the policies in force, each with a key: one that is another has another. */
const ALL_HOLDS = (schema: string) => sql`(
  select 'hold ' || id as key, schema_name, table_name, bounds, until, run_id, null as reason from ${at(schema, 'hold')}
  union all
  select 'policy ' || id, schema_name, table_name, null, (terms #>> '{hold,until}')::date::timestamp at time zone 'UTC', null,
    coalesce(terms #>> '{hold,reason}', '')
  from (select distinct on (schema_name, table_name) * from ${at(schema, 'policy')} order by schema_name, table_name, id desc) p
  where terms ? 'hold')`
const IN_FORCE = raw('h.until > clock_timestamp()')

/** A journal of an earlier version has none, and no policies. */
async function hasHolds(session: ClientBase, schema: string): Promise<boolean> {
  return (await hasTable(session, schema, 'hold')) && (await hasTable(session, schema, 'policy'))
}

/** Whether there may be one in force: those of most journals are none. */
export async function mayHold(session: ClientBase, schema: string): Promise<Sql> {
  if (!(await hasHolds(session, schema))) return sql`false`
  return sql`(exists (select from ${at(schema, 'hold')} h where ${IN_FORCE}) or exists (select from ${at(schema, 'policy')} where terms ? 'hold'))`
}
