import { quoted } from '../../sql/names.ts'
import { ordered, own } from '../../sql/operators.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import { amongCandidates, leafNumber, type SetWalk } from './candidate-sql.ts'
import { actionSql } from './action-sql.ts'
import { asked, condition, count, inRange, keyColumns, keyName, lastFirst, orderOf, position, source } from './range.ts'
import type { BatchRange } from './batch-range.ts'
import { consumedFrom, entries, isListed } from './version-list.ts'
import { heldAhead, heldCondition, type Ahead, type Dependents, type PurgeLeaf, type PurgeWork } from './work.ts'

// The statement of a batch. Invariants:
//
//   - Nothing but counts and a position comes back. A statement that looks first is all of its batch, under one snapshot; ranges of
//     blocks, of which no row depends on another, may be several statements.
//   - The condition is checked again by the delete itself: a row changed since the
//     snapshot so that it is kept stays, for PostgreSQL checks the newest version.
//   - An address means one row only within one table, so it is one partition at a time.
//   - Rows behind the position are never read again, dead ones least of all.
//   - `(…) is true` keeps an index on a column of the condition from being used,
//     where rows are to be reached by their address: it would lead over every dead row.
//   - All but the condition names the schemas of its operators and functions: the
//     user's search path is in force.

/** How a batch treats rows locked by others: it fails at once, or skips them. */
export type Manner = 'quick' | 'careful'

/** One row: `found` that match, of them `held` back and `gone`, those that wait `behind` others or `stayed` although they were locked for us, `counts` of companions, and the `position` of the last one found. */
export function batchStatement(work: PurgeWork, leaf: PurgeLeaf, range: BatchRange, limit: Sql, manner: Manner): Sql {
  const { dependents } = work
  const { narrowing, companions, disturbed, crowded } = dependents
  const place = sql`only ${quoted(leaf.name)} t`
  const going = goingOf(dependents)
  const held = heldCondition(dependents)
  const looksFirst = manner === 'careful' && work.action.kind !== 'record'
  const those = sql`select ebb_at from ${going}${unlessCrowded(crowded)}`
  // A hash of them, where they are not the way to the rows; as a condition of its own it would become a join, of as few rows as
  // PostgreSQL expects of parts of a statement.
  const reached = isListed(leaf.walk)
    ? sql`(ebb_c.ebb_at ${own('=')} any (${those})) is true`
    : sql`t.ctid ${own('=')} any (array(${those}))`
  return sql`
with ${recursive(narrowing, disturbed)}${candidates(work, leaf, range, limit, held)}, ${
    looksFirst ? locked(dependents, held, place) : chosen(held)
  }${parts(narrowing)}${crowd(crowded)}, gone as (
  ${actionSql(work, leaf, sql`${reached} and ${asked(work, leaf)}`)}
  returning 1${shown(dependents)}${keyOfConsumed(leaf)}
)${consumption(leaf)}${parts(companions)}
select ${isCrowded(crowded)} as crowded, ${count('candidate')}::int as found, ${held === null ? raw('0') : sql`${count('candidate where ebb_held')}::int`} as held,
  ${count('gone')}::int as gone, ${narrowing.length === 0 ? raw('0') : sql`(${count('victim')} ${own('-')} ${count(going.text)})::int`} as behind,
  ${looksFirst ? sql`(${count(going.text)} ${own('-')} ${count('gone')})::int` : raw('0')} as stayed, ${raw(disturbed ?? 'false')} as disturbed, ${companionCounts(companions)} as counts,
  (select ${position(leaf)} from candidate order by ${lastFirst(leaf)} limit 1) as position`
}

/** Of the rows that reference the first row of a range, if that is to be deleted, deletes at most so many ahead of it (`found`), each with its dependent rows. */
export function aheadStatement(work: PurgeWork, leaf: PurgeLeaf, range: BatchRange, ahead: Ahead, limit: Sql): Sql {
  const { dependents } = work
  const { companions, crowded, columns, unchanged } = ahead
  const { narrowing } = dependents
  const disturbed = ahead.disturbed ?? dependents.disturbed
  const held = heldAhead(dependents)
  const victims = locked(dependents, held, sql`only ${quoted(leaf.name)} t`)
  const here = sql`f.ebb_table ${own('=')} c.tableoid and f.ebb_at ${own('=')} c.ctid`
  const returned = columns.map((column) => sql`, c.${ident(column)}`)
  return sql`
with ${recursive(narrowing, disturbed)}${candidates(work, leaf, range, raw('1'), held)}, ${victims}${parts([...narrowing, ...ahead.above])}, those as materialized (
  ${raw(ahead.those)} limit ${limit}
)${crowd(crowded)}, gone as (
  delete from ${raw(ahead.rows)} c where c.ctid ${own('=')} any (array(select ebb_at from those${unlessCrowded(crowded)}))
    and exists (select from those f where ${here})${raw(unchanged === null ? '' : ` and ${unchanged}`)} returning 1${join(returned, '')}
)${parts(companions)}
select ${isCrowded(crowded)} as crowded, ${count('gone')}::int as found, 0 as held, 0 as gone, 0 as behind, 0 as stayed,
  ${raw(ahead.disturbed ?? 'false')} as disturbed, ${companionCounts(companions)} as counts, (select ${position(leaf)} from candidate) as position`
}

function crowd(crowded: string | null): Sql {
  return raw(crowded === null ? '' : `, crowd as materialized (select ${crowded} as ebb_much)`)
}

function isCrowded(crowded: string | null): Sql {
  return raw(crowded === null ? 'false' : '(select ebb_much from crowd)')
}

function unlessCrowded(crowded: string | null): Sql {
  return raw(crowded === null ? '' : ' where not (select ebb_much from crowd)')
}

function recursive(narrowing: Dependents['narrowing'], disturbed: string | null): Sql {
  return raw(narrowing.length === 0 && disturbed === null ? '' : 'recursive ')
}

function candidates(work: PurgeWork, leaf: PurgeLeaf, range: BatchRange, limit: Sql, held: string | null): Sql {
  return sql`candidate as materialized (
  select t.ctid as ebb_at${keyColumns(leaf)}${heldColumn(held)} from ${source(leaf, range)}
  where ${inRange(leaf, range)} and ${condition(work, leaf)}
  order by ${orderOf(leaf)} limit ${limit}
)`
}

function goingOf({ narrowing }: Dependents): Sql {
  return raw(narrowing.at(-1)?.name ?? 'victim')
}

function parts(named: Dependents['narrowing']): Sql {
  return raw(named.map(({ name, statement }) => `, ${name} as (${statement}\n)`).join(''))
}

/** `, t."a", t."b"`: the columns that the rest of the statement joins by. */
function shown({ columns }: Dependents): Sql {
  return join(
    columns.map((column) => sql`, t.${ident(column)}`),
    '',
  )
}

function chosen(held: string | null): Sql {
  return sql`victim as (
  select ebb_at from candidate${free(held)}
)`
}

// A row that was moved since the snapshot is locked where it is now. It is no victim: the delete would not see it, and
// companions of a row that stays must stay.
function locked(dependents: Dependents, held: string | null, place: Sql): Sql {
  return sql`reached as materialized (
  select t.tableoid as ebb_table, t.ctid as ebb_at${shown(dependents)} from ${place}
  where t.ctid ${own('=')} any (array(select ebb_at from candidate${free(held)})) for update skip locked
), victim as materialized (
  select * from reached where ebb_at ${own('=')} any (select ebb_at from candidate)
)`
}

function free(held: string | null): Sql {
  return raw(held === null ? '' : ' where not ebb_held')
}

/** Entries of a set go with their rows: a part of the statement. */
function consumption({ walk }: PurgeLeaf): Sql {
  if (isListed(walk)) return consumedFrom({ walk })
  if (!isConsumed(walk)) return raw('')
  const pairs = walk.columns.map(
    ({ name, operators }, i) => sql`ebb_s.${ident(name)} ${ordered(operators, '=')} gone.${keyName(i)}`,
  )
  return sql`, consumed as (
  delete from ${quoted(walk.among.set)} ebb_s using gone where ${join([leafNumber(walk, 'ebb_s'), ...pairs], ' and ')}
)`
}

function keyOfConsumed(leaf: PurgeLeaf): Sql {
  if (isListed(leaf.walk)) return raw(', t.ctid as ebb_at, ebb_c.ebb_last')
  return isConsumed(leaf.walk) ? keyColumns(leaf) : raw('')
}

function isConsumed(walk: PurgeLeaf['walk']): walk is SetWalk {
  return amongCandidates(walk) && walk.among.consumed === true
}

/**
 * Without looking first: for ranges of blocks whose rows are known to be few enough. It gives up where a row is locked. How many rows
 * it was, PostgreSQL says: to return something of each and count it would take half as long again. Of listed rows there is something to return.
 */
export function rangeStatement(work: PurgeWork, leaf: PurgeLeaf, range: BatchRange): Sql {
  const { walk } = leaf
  const those = actionSql(work, leaf, sql`${inRange(leaf, range)} and ${asked(work, leaf)}`)
  if (!isListed(walk)) return those
  return sql`
with candidate as materialized (${entries({ walk }, range)}), gone as (
  ${those} returning 1${keyOfConsumed(leaf)}
)${consumption(leaf)}
select pg_catalog.count(*)::int as gone from gone`
}

/** How many rows of a part of a leaf match, and how many of them stay for each of the reasons, the first that holds. */
export function countStatement(work: PurgeWork, leaf: PurgeLeaf, range: BatchRange): Sql {
  const { reasons } = work.dependents
  const why = reasons.map(({ condition }, i) => ` when (${condition}) then ${i}`).join('')
  const counts = reasons.map((_, i) => `, pg_catalog.count(*) filter (where why ${own('=').text} ${i})`).join('')
  return sql`
select array[pg_catalog.count(*)${raw(counts)}]::pg_catalog.text[] as counts from (
  select ${raw(why === '' ? 'null::int' : `case${why} end`)} as why from ${source(leaf, range)}
  where ${inRange(leaf, range)} and ${condition(work, leaf)}
) matching`
}

function heldColumn(held: string | null): Sql {
  return held === null ? raw('') : raw(`, coalesce((${held}), false) as ebb_held`)
}

/** In the order of the companions: their tables' names could be anything. */
function companionCounts(companions: Dependents['companions']): Sql {
  if (companions.length === 0) return raw(`'[]'::pg_catalog.jsonb`)
  return sql`pg_catalog.jsonb_build_array(${join(companions.map(({ name }) => count(name)))})`
}
