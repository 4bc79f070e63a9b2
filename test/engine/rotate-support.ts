import type pg from 'pg'
import type { EngineOptions } from '../../src/engine/options.ts'
import { planRotations, rotate, type RotateRequest, type SetReport } from '../../src/engine/commands/rotate.ts'
import { parseInterval } from '../../src/grid/interval.ts'
import type { RotationPlan } from '../../src/plan/rotate/plan.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, literal, raw, sql, type Sql } from '../../src/sql/sql.ts'
import type { Database } from '../support/database.ts'

type Asked = Partial<Omit<RotateRequest, 'keep' | 'grace'>> & { readonly keep?: string; readonly grace?: string }

/** What is asked for where a test does not say otherwise. */
export function request(asked: Asked = {}): RotateRequest {
  const { keep, grace, ...rest } = asked
  return {
    tables: 'all',
    keep: keep === undefined ? null : parseInterval(keep),
    retire: 'drop',
    grace: grace === undefined ? null : parseInterval(grace),
    archive: null,
    noArchive: true,
    forget: false,
    accept: [],
    ...rest,
  }
}

export function options(changes: Partial<EngineOptions> = {}): EngineOptions {
  return { journalSchema: 'ebb', observer: () => {}, signal: new AbortController().signal, ...changes }
}

export async function planOf(database: Database, table: TableName, asked: Asked = {}): Promise<RotationPlan> {
  const [plan] = await planRotations(database.url, request({ tables: [table], ...asked }), options())
  return plan!
}

export async function rotateOne(
  database: Database,
  table: TableName,
  asked: Asked = {},
  changes: Partial<EngineOptions> = {},
): Promise<SetReport> {
  const { sets } = await rotate(database.url, request({ tables: [table], ...asked }), options(changes))
  return sets[0]!
}

/** The months, as offsets from the present one, that a set's partitions cover; others as the catalogue prints them. */
export async function monthsOf(database: Database, table: TableName): Promise<(number | string)[]> {
  const { rows } = await database.admin<{ bounds: string; months: number | null }>(sql`
    with bound as (
      select pg_get_expr(p.relpartbound, p.oid) as bounds from pg_inherits h join pg_class p on p.oid = h.inhrelid
      join pg_class c on c.oid = h.inhparent join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${table.schema} and c.relname = ${table.name} and not h.inhdetachpending),
    first as (select bounds, substring(bounds from 'FROM \\(''(\\d{4}-\\d\\d)-01 00:00:00')::text as ym from bound)
    select bounds, (extract(year from d) * 12 + extract(month from d) - extract(year from u) * 12 - extract(month from u))::int as months
    from first, lateral (select to_date(ym, 'YYYY-MM') as d, now() at time zone 'UTC' as u) x order by months nulls first, bounds`)
  return rows.map(({ bounds, months }) => months ?? bounds)
}

/** The first instant of a month, as an offset from the present one, in UTC. */
export function month(offset: number): Sql {
  return sql`(date_trunc('month', now() at time zone 'UTC') + make_interval(months => ${raw(String(offset))})) at time zone 'UTC'`
}

/**
 * `events`, a partition for each month from one offset up to another, a row in each that has
 * begun. Partitions have names that say nothing.
 */
export async function monthlyEvents(
  database: Database,
  from: number,
  to: number,
  name = 'events',
  columns = raw('id bigint generated always as identity, at timestamptz not null, token text, primary key (id, at)'),
): Promise<TableName> {
  const table = database.table(name)
  const session = await database.session('setup')
  await session.query(sql`create table ${quoted(table)} (${columns}) partition by range (at)`)
  for (let offset = from; offset < to; offset++) await addMonths(session, database, table, offset, offset + 1)
  await session.query(sql`
    insert into ${quoted(table)} (at) select ${month(from)} + (n || ' months')::interval from generate_series(0, ${-from}::int) n`)
  await session.query(sql`insert into ${quoted(table)} (at) values (now())`)
  await session.end()
  return table
}

/** A partition between two months, with a name of no meaning; null is without a bound. */
export async function addMonths(
  session: pg.ClientBase,
  database: Database,
  table: TableName,
  from: number | null,
  to: number | null,
): Promise<TableName> {
  const leaf = leafOf(database, table, from ?? 'min')
  const at = async (offset: number | null, none: string) =>
    offset === null
      ? none
      : literal((await session.query<{ at: string }>(sql`select (${month(offset)})::text as at`)).rows[0]!.at).text
  await session.query(
    sql`create table ${quoted(leaf)} partition of ${quoted(table)}
        for values from (${raw(await at(from, 'minvalue'))}) to (${raw(await at(to, 'maxvalue'))})`,
  )
  return leaf
}

/** What `addMonths` calls the partition that begins with a month. */
export function leafOf(database: Database, table: TableName, from: number | string): TableName {
  return database.table(`leaf ${from} of ${table.name.slice(0, 12)}`)
}

/** Whether there is a relation of that name. */
export async function isThere(database: Database, table: TableName): Promise<boolean> {
  const { rows } = await database.admin<{ there: boolean }>(
    sql`select to_regclass(${quoted(table).text}) is not null as there`,
  )
  return rows[0]!.there
}

/** The journal's lines about a table: `dropped`, `created`, …, in order. */
export async function journalOf(database: Database, table: TableName): Promise<string[]> {
  const { rows } = await database.admin<{ action: string }>(sql`
    select action from ${ident('ebb', 'rotation')} where schema_name = ${table.schema} and table_name = ${table.name} order by id`)
  return rows.map(({ action }) => action)
}

export async function countOf(database: Database, table: TableName): Promise<number> {
  const { rows } = await database.admin<{ count: number }>(sql`select count(*)::int as count from ${quoted(table)}`)
  return rows[0]!.count
}
