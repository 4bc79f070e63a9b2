import { quoted } from '../../sql/names.ts'
import { ordered, own } from '../../sql/operators.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import {
  amongCandidates,
  besideEntry,
  leafNumber,
  sameKeyAsCandidate,
  unchangedSince,
  type SetWalk,
} from './candidate-sql.ts'
import { actionSql } from './action-sql.ts'
import { heldCondition, type Ahead, type Dependents, type KeyWalk, type PurgeLeaf, type PurgeWork } from './work.ts'

// The statement of a batch. Invariants:
//
//   - One statement under one snapshot; nothing but counts and a position comes back.
//   - The condition is checked again by the delete itself: a row changed since the
//     snapshot so that it is kept stays, for PostgreSQL checks the newest version.
//   - An address means one row only within one table, so it is one partition at a time.
//   - Rows behind the position are never read again, dead ones least of all.
//   - `(…) is true` keeps an index on a column of the condition from being used,
//     where rows are to be reached by their address: it would lead over every dead row.
//   - All but the condition names the schemas of its operators and functions: the
//     user's search path is in force.

/** A part of a leaf. Positions are outside at the beginning and inside at the end. */
export interface BatchRange {
  readonly after: Sql | null
  readonly upto: Sql | null
}

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
  const those = sql`array(select ebb_at from ${going}${unlessCrowded(crowded)})`
  return sql`
with ${recursive(narrowing, disturbed)}${candidates(work, leaf, range, limit)}, ${
    looksFirst ? locked(dependents, held, place) : chosen(held)
  }${parts(narrowing)}${crowd(crowded)}, gone as (
  ${actionSql(work, leaf, sql`t.ctid ${own('=')} any (${those}) and ${asked(work, leaf)}`)}
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
  const { companions, crowded, columns } = ahead
  const { narrowing } = dependents
  const disturbed = ahead.disturbed ?? dependents.disturbed
  const victims = locked(dependents, heldCondition(dependents), sql`only ${quoted(leaf.name)} t`)
  const here = sql`f.ebb_table ${own('=')} c.tableoid and f.ebb_at ${own('=')} c.ctid`
  const returned = columns.map((column) => sql`, c.${ident(column)}`)
  return sql`
with ${recursive(narrowing, disturbed)}${candidates(work, leaf, range, raw('1'))}, ${victims}${parts([...narrowing, ...ahead.above])}, those as materialized (
  ${raw(ahead.those)} limit ${limit}
)${crowd(crowded)}, gone as (
  delete from ${raw(ahead.rows)} c where c.ctid ${own('=')} any (array(select ebb_at from those${unlessCrowded(crowded)}))
    and exists (select from those f where ${here}) returning 1${join(returned, '')}
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

function candidates(work: PurgeWork, leaf: PurgeLeaf, range: BatchRange, limit: Sql): Sql {
  return sql`candidate as materialized (
  select t.ctid as ebb_at${keyColumns(leaf)}${heldColumn(heldCondition(work.dependents))} from ${source(leaf)}
  where ${inRange(leaf, range)} and ${condition(work, leaf)}
  order by ${orderOf(leaf)} limit ${limit}
)`
}

function goingOf({ narrowing }: Dependents): Sql {
  return raw(narrowing.at(-1)?.name ?? 'victim')
}

function count(rows: string): Sql {
  return raw(`(select pg_catalog.count(*) from ${rows})`)
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
  if (!isConsumed(walk)) return raw('')
  const pairs = walk.columns.map(
    ({ name, operators }, i) => sql`ebb_s.${ident(name)} ${ordered(operators, '=')} gone.${keyName(i)}`,
  )
  return sql`, consumed as (
  delete from ${quoted(walk.among.set)} ebb_s using gone where ${join([leafNumber(walk, 'ebb_s'), ...pairs], ' and ')}
)`
}

function keyOfConsumed(leaf: PurgeLeaf): Sql {
  return isConsumed(leaf.walk) ? keyColumns(leaf) : raw('')
}

function isConsumed(walk: PurgeLeaf['walk']): walk is SetWalk {
  return amongCandidates(walk) && walk.among.consumed === true
}

/** Without looking first: for ranges of blocks whose rows are known to be few enough. It gives up where a row is locked. */
export function rangeStatement(work: PurgeWork, leaf: PurgeLeaf, range: BatchRange): Sql {
  return sql`
with gone as (
  ${actionSql(work, leaf, sql`${inRange(leaf, range)} and ${asked(work, leaf)}`)} returning 1
)
select false as crowded, pg_catalog.count(*)::int as found, 0 as held, pg_catalog.count(*)::int as gone, 0 as behind, 0 as stayed, false as disturbed, '[]'::pg_catalog.jsonb as counts, null as position from gone`
}

/** How many rows of a part of a leaf match, and how many of them stay for each of the reasons, the first that holds. */
export function countStatement(work: PurgeWork, leaf: PurgeLeaf, range: BatchRange): Sql {
  const { reasons } = work.dependents
  const why = reasons.map(({ condition }, i) => ` when (${condition}) then ${i}`).join('')
  const counts = reasons.map((_, i) => `, pg_catalog.count(*) filter (where why ${own('=').text} ${i})`).join('')
  return sql`
select array[pg_catalog.count(*)${raw(counts)}]::pg_catalog.text[] as counts from (
  select ${raw(why === '' ? 'null::int' : `case${why} end`)} as why from ${source(leaf)}
  where ${inRange(leaf, range)} and ${condition(work, leaf)}
) matching`
}

/** The condition for a row that was reached in another way. */
function asked({ where }: PurgeWork, { walk }: PurgeLeaf): Sql {
  const matches = raw(`(${where}\n) is true`)
  return amongCandidates(walk) ? unchangedAnd(matches, walk) : matches
}

function unchangedAnd(matches: Sql, walk: SetWalk): Sql {
  const unchanged = sql`${unchangedSince(walk)} is true`
  return walk.among.conditional === true ? sql`${matches} and ${unchanged}` : unchanged
}

/** In an index walk the condition may determine where the walk ends. */
function condition(work: PurgeWork, leaf: PurgeLeaf): Sql {
  const { walk } = leaf
  if (amongCandidates(walk)) return unchangedAnd(besideEntry(work.where), walk)
  return walk.kind === 'key' ? raw(`(${work.where}\n)`) : asked(work, leaf)
}

/** The rows of the leaf as `t`; for a candidate set, with its entries as `ebb_c`. */
function source({ name, walk }: PurgeLeaf): Sql {
  const place = sql`only ${quoted(name)} t`
  if (!amongCandidates(walk)) return place
  return sql`${quoted(walk.among.set)} ebb_c join ${place} on ${sameKeyAsCandidate(walk)}`
}

function inRange({ walk }: PurgeLeaf, { after, upto }: BatchRange): Sql {
  const bounds = [
    ...(amongCandidates(walk) ? [leafNumber(walk)] : []),
    ...(after === null ? [] : [walk.kind === 'blocks' ? sql`t.ctid ${own('>')} ${after}` : beyond(walk, after)]),
    ...(upto === null ? [] : [walk.kind === 'blocks' ? sql`t.ctid ${own('<=')} ${upto}` : compared(walk, '<=', upto)]),
  ]
  return bounds.length === 0 ? raw('true') : join(bounds, ' and ')
}

function beyond(walk: KeyWalk, after: Sql): Sql {
  if (walk.unique) return compared(walk, '>', after)
  const address = sql`(${after} ${own('->>')} ${raw(String(walk.columns.length))})::pg_catalog.tid`
  const further = sql`${compared(walk, '>', after)} or ${compared(walk, '=', after)} and t.ctid ${own('>')} ${address}`
  return sql`${compared(walk, '>=', after)} and (${further})`
}

/**
 * The key in the order of its index. As a row where one operator compares all columns, which an index can follow to the
 * end; else column by column, and the index follows the first.
 */
function compared(walk: KeyWalk, operator: '<=' | '=' | '>=' | '>', at: Sql): Sql {
  const [first, ...others] = walk.columns.map(({ operators }) => ordered(operators, operator).text)
  if (others.every((other) => other === first))
    return sql`row(${keyList(walk)}) ${raw(first ?? operator)} row(${valueList(walk, at)})`
  return columnByColumn(walk, operator, at)
}

function columnByColumn(walk: KeyWalk, operator: '<=' | '=' | '>=' | '>', at: Sql): Sql {
  const pairs = walk.columns.map((column, i) => ({
    is: (by: '<' | '<=' | '=' | '>=' | '>') =>
      sql`${keyOf(walk, i)} ${ordered(column.operators, by)} ${valueOf(walk, i, at)}`,
  }))
  if (operator === '=')
    return join(
      pairs.map(({ is }) => is('=')),
      ' and ',
    )
  const strict = operator === '<=' ? '<' : '>'
  const orEqual = operator === '<=' ? '<=' : '>='
  const last = pairs.length - 1
  const beyond = pairs.map((pair, i) =>
    join([...pairs.slice(0, i).map(({ is }) => is('=')), pair.is(i === last ? operator : strict)], ' and '),
  )
  return sql`(${pairs[0]?.is(orEqual) ?? raw('true')} and (${join(beyond, ' or ')}))`
}

function keyOf({ columns, among }: KeyWalk, i: number): Sql {
  return sql`${raw(among === undefined ? 't' : 'ebb_c')}.${ident(columns[i]?.name ?? '')}`
}

function keyList(walk: KeyWalk): Sql {
  return join(walk.columns.map((_, i) => keyOf(walk, i)))
}

function valueOf({ columns }: KeyWalk, i: number, at: Sql): Sql {
  return sql`(${at} ${own('->>')} ${raw(String(i))})::${raw(columns[i]?.type ?? '')}`
}

function valueList(walk: KeyWalk, at: Sql): Sql {
  return join(walk.columns.map((_, i) => valueOf(walk, i, at)))
}

function keyColumns({ walk }: PurgeLeaf): Sql {
  if (walk.kind === 'blocks') return raw('')
  return join(
    walk.columns.map(({ name }, i) => sql`, t.${ident(name)} as ${keyName(i)}`),
    '',
  )
}

function orderOf({ walk }: PurgeLeaf): Sql {
  return walk.kind === 'blocks' ? raw('t.ctid') : walk.unique ? keyList(walk) : sql`${keyList(walk)}, t.ctid`
}

// Qualified: a bare name would mean the column that is returned, which is text.
function lastFirst({ walk }: PurgeLeaf): Sql {
  const names = walk.kind === 'blocks' ? [] : walk.columns.map((_, i) => keyName(i))
  return join([...names, raw('ebb_at')].map((name) => sql`candidate.${name} desc`))
}

/** As text: a row's address, or a JSON array of the key's values and the address. */
function position({ walk }: PurgeLeaf): Sql {
  if (walk.kind === 'blocks') return raw('ebb_at::pg_catalog.text')
  const texts = walk.columns.map((_, i) => sql`${keyName(i)}::pg_catalog.text`)
  return sql`pg_catalog.json_build_array(${join([...texts, raw('ebb_at::pg_catalog.text')])})::pg_catalog.text`
}

function keyName(i: number): Sql {
  return raw(`ebb_k${i}`)
}

function heldColumn(held: string | null): Sql {
  return held === null ? raw('') : raw(`, coalesce((${held}), false) as ebb_held`)
}

/** In the order of the companions: their tables' names could be anything. */
function companionCounts(companions: Dependents['companions']): Sql {
  if (companions.length === 0) return raw(`'[]'::pg_catalog.jsonb`)
  return sql`pg_catalog.jsonb_build_array(${join(companions.map(({ name }) => count(name)))})`
}

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
