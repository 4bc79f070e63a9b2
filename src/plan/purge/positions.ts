import { quoted } from '../../sql/names.ts'
import { ident, join, sql, type Sql } from '../../sql/sql.ts'
import { sameKeyAsCandidate, unchangedSince, type SetWalk } from './candidate-sql.ts'
import { condition, count, inRange, keyColumns, keyName, orderOf, position, source, type BatchRange } from './range.ts'
import type { KeyWalk, PurgeLeaf, PurgeWork } from './work.ts'

// Statements that look where the next piece of a walk begins or ends, and change nothing.

/** Where the next `rows` candidates end, whether they are still there or not; no row where there are none. */
export function sliceStatement(leaf: PurgeLeaf, walk: SetWalk, range: BatchRange, rows: Sql): Sql {
  const keys = walk.columns.map((_, i) => keyName(i))
  const shown = walk.columns.map(({ name }, i) => sql`ebb_c.${ident(name)} as ${keyName(i)}`)
  return sql`
with slice as (
  select ${join(shown)} from ${quoted(walk.among.set)} ebb_c where ${inRange(leaf, range)} order by ${orderOf(leaf)} limit ${rows}
)
select pg_catalog.json_build_array(${join(keys.map((name) => sql`${name}::pg_catalog.text`))}, '(0,0)'::pg_catalog.text)::pg_catalog.text as position, ${count('slice')}::int as rows
from slice order by ${join(keys.map((name) => sql`slice.${name} desc`))} limit 1`
}

/** Where the next `entries` of an index end, whatever rows they lead to; no row where there are not so many. */
export function spanStatement(leaf: PurgeLeaf, walk: KeyWalk, range: BatchRange, entries: Sql): Sql {
  return sql`
with entry as (
  select t.ctid as ebb_at${keyColumns(leaf)} from only ${quoted(leaf.name)} t
  where ${inRange({ ...leaf, walk }, range)} order by ${orderOf(leaf)} offset ${entries} limit 1
)
select ${position(leaf)} as position from entry`
}

/** Of a slice of a candidate set: how many rows have changed since, and how many are no more. */
export function driftStatement({ name }: PurgeLeaf, walk: SetWalk, range: BatchRange): Sql {
  const bounds = inRange({ name, walk } as PurgeLeaf, range)
  return sql`
select pg_catalog.count(*) filter (where t.ctid is not null and ${unchangedSince(walk)} is not true)::pg_catalog.float8 as changed,
  pg_catalog.count(*) filter (where t.ctid is null)::pg_catalog.float8 as gone
from ${quoted(walk.among.set)} ebb_c left join only ${quoted(name)} t on ${sameKeyAsCandidate(walk)} where ${bounds}`
}

/** Where the first row of a part of a leaf is that matches; no row where there is none. */
export function positionStatement(work: PurgeWork, leaf: PurgeLeaf, range: BatchRange): Sql {
  return sql`
with candidate as (
  select t.ctid as ebb_at${keyColumns(leaf)} from ${source(leaf)}
  where ${inRange(leaf, range)} and ${condition(work, leaf)} order by ${orderOf(leaf)} limit 1
)
select ${position(leaf)} as position from candidate`
}
