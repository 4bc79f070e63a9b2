import { quoted } from '../../sql/names.ts'
import { ident, join, sql, type Sql } from '../../sql/sql.ts'
import { amongCandidates, sameKeyAsCandidate, unchangedSince, type SetWalk } from './candidate-sql.ts'
import { condition, count, inRange, keyColumns, keyName, orderOf, position, source } from './range.ts'
import type { BatchRange } from './batch-range.ts'
import { driftOfList, isListed, sliceOfList, type ListWalk } from './version-list.ts'
import type { KeyWalk, PurgeLeaf, PurgeWork, Walk } from './work.ts'

// Statements that look where the next piece of a walk begins or ends, and change nothing.

/** A walk of rows that have been recorded before. */
export type RecordedWalk = SetWalk | ListWalk

export function isRecorded(walk: Walk): walk is RecordedWalk {
  return amongCandidates(walk) || isListed(walk)
}

/** Where the next `rows` recorded rows end, whether they are still there or not; no row where there are none. */
export function sliceStatement(leaf: PurgeLeaf, walk: RecordedWalk, range: BatchRange, rows: Sql): Sql {
  if (isListed(walk)) return sliceOfList({ walk }, range, rows)
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

/** Of a slice of recorded rows: how many have changed since, and how many are no more. */
export function driftStatement(leaf: PurgeLeaf, walk: RecordedWalk, range: BatchRange): Sql {
  if (isListed(walk)) return driftOfList({ ...leaf, walk }, range)
  const { name } = leaf
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
  select t.ctid as ebb_at${keyColumns(leaf)} from ${source(leaf, range)}
  where ${inRange(leaf, range)} and ${condition(work, leaf)} order by ${orderOf(leaf)} limit 1
)
select ${position(leaf)} as position from candidate`
}
