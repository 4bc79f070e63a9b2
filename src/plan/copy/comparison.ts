import { quoted } from '../../sql/names.ts'
import { ordered, own } from '../../sql/operators.ts'
import { ident, join, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import { keyList, sameKey, type CopyKey } from './key.ts'
import type { CopyWork } from './work.ts'

// The statements that compare a range of keys of both sides. What always holds:
//
//   - They are for one snapshot, which shows both sides and the log at one instant.
//   - Rows that are not kept, and those whose key is in the log, are left out on
//     each side before the join: behind it, a row that one side lacks would be
//     asked for a column that it does not have.
//   - Columns go through the join as they are stored. As a whole row (`s.*`)
//     their values would be fetched from the TOAST table first, and a sort or a
//     hash table would spill them.

/** A key as text, a value for each column. */
export type KeyText = readonly string[]

/** Keys from behind `after`, up to `upto` and with it; null for an end that is open. */
export interface KeySpan {
  readonly after: KeyText | null
  readonly upto: KeyText | null
}

/** A span as a snapshot shows it. */
export interface SeenSpan extends KeySpan {
  /** Whether the log has keys of it; to leave out what it has costs every row something. */
  readonly logged: boolean
}

export interface ComparedColumn {
  readonly name: string
  /** Whether its type, and whatever that is made of, has a binary form, in which COPY may have carried it. */
  readonly binary: boolean
}

export interface Comparison {
  readonly work: CopyWork
  /** A condition of the rows that the target may not have alone; null: of all. */
  readonly shared: string | null
  readonly columns: readonly ComparedColumn[]
  /** Whether an index of the target keeps a key from being there twice. */
  readonly unique: boolean
}

/** What can be wrong with a row, or with a key. */
export const FAULTS = ['missing', 'unexpected', 'changed', 'repeated'] as const
export type Fault = (typeof FAULTS)[number]

/** How many rows have each fault, and the keys of some of them. */
export type Differences = Readonly<Partial<Record<Fault, { readonly rows: number; readonly keys: readonly KeyText[] }>>>

/** One row: whether the log has keys of the range. */
export function loggedStatement({ work }: Pick<Comparison, 'work'>, span: KeySpan): Sql {
  const { key, log } = work.capture
  return sql`select exists (select from ${quoted(log)} l where ${within(key, 'l', span)}) as logged`
}

/** One row: how many rows of the target, how many rows are not the same on both sides, and how many keys are repeated. */
export function compareStatement(comparison: Comparison, span: SeenSpan): Sql {
  const repeats = comparison.unique
    ? raw('0')
    : sql`(select pg_catalog.count(*) from (${repeated(comparison, span)}) r)::int`
  return sql`
with ${sides(comparison, span)}
select pg_catalog.count(t.${firstColumn(comparison)})::int as rows, pg_catalog.count(*) filter (where ${different(comparison)})::int as different, ${repeats} as repeated
from ${joined(comparison)}`
}

/** One row: of each fault of a row, how many have it. It takes longer than to see that there is none. */
export function faultsStatement(comparison: Comparison, span: SeenSpan): Sql {
  const counts = ROW_FAULTS.map(
    (fault) => sql`pg_catalog.count(*) filter (where ${faulty(comparison, fault)})::int as ${raw(fault)}`,
  )
  return sql`
with ${sides(comparison, span)}
select ${join(counts)}
from ${joined(comparison)}`
}

/** Some of the keys with a fault: as `key`, an array of text. */
export function keysStatement(comparison: Comparison, span: SeenSpan, fault: Fault, limit: number): Sql {
  const some = raw(String(limit))
  if (fault === 'repeated')
    return sql`with ${logged(comparison, span)} ${repeated(comparison, span)} order by ${keyList(keyOf(comparison))} limit ${some}`
  const values = keyOf(comparison).columns.map(({ name }) => sql`coalesce(s.${ident(name)}, t.${ident(name)})`)
  return sql`
with ${sides(comparison, span)}
select array[${join(values.map((value) => sql`${value}::pg_catalog.text`))}] as key from ${joined(comparison)}
where ${faulty(comparison, fault)} order by ${join(values)} limit ${some}`
}

/**
 * Where a range ends that holds so many rows of the target: `key`, or no row where there are not so many. Only that key
 * becomes text, and not each that is passed over.
 */
export function endStatement({ work }: Pick<Comparison, 'work'>, after: KeyText | null, rows: number): Sql {
  const { key } = work.capture
  return sql`select ${keyText(key)} as key from (
    select ${keyList(key, 't')} from ${quoted(work.target)} t
    where ${within(key, 't', { after, upto: null })} order by ${keyList(key, 't')} offset ${raw(String(rows - 1))} limit 1) t`
}

const ROW_FAULTS = ['missing', 'unexpected', 'changed'] as const
export type RowFault = (typeof ROW_FAULTS)[number]

function keyOf({ work }: Pick<Comparison, 'work'>): CopyKey {
  return work.capture.key
}

function sides(comparison: Comparison, span: SeenSpan): Sql {
  const { work, shared, columns } = comparison
  const list = (side: string) => join(columns.map(({ name }) => sql`${raw(side)}.${ident(name)}`))
  return sql`${logged(comparison, span)}, ebb_source as (
  select ${list('s')} from ${quoted(work.source)} s where ${settled(comparison, 's', span)} and ${condition(work.keep)}
), ebb_target as (
  select ${list('t')}, ${condition(shared)} as ebb_shared from ${quoted(work.target)} t where ${settled(comparison, 't', span)}
)`
}

function logged(comparison: Comparison, span: SeenSpan): Sql {
  const key = keyOf(comparison)
  return sql`ebb_logged as materialized (
  select ${keyList(key, 'l')} from ${quoted(comparison.work.capture.log)} l where ${within(key, 'l', span)}
)`
}

/** In the range, and not in the log. */
function settled(comparison: Comparison, side: string, span: SeenSpan): Sql {
  const key = keyOf(comparison)
  const inRange = within(key, side, span)
  if (!span.logged) return inRange
  return sql`${inRange} and not exists (select from ebb_logged l where ${sameKey(key, 'l', side)})`
}

/** In parentheses and on lines of its own, for it may end in a comment. */
function condition(text: string | null): Sql {
  return raw(text === null ? 'true' : `(${text}\n)`)
}

function joined(comparison: Comparison): Sql {
  return sql`ebb_source s full join ebb_target t on ${sameKey(keyOf(comparison), 's', 't')}`
}

/** A column of the key, which is never null: where it is, the side has no row. */
function firstColumn(comparison: Comparison): Sql {
  return ident(keyOf(comparison).columns[0]?.name ?? '')
}

/**
 * A side without the row has nulls in its place, which are unlike any row, for a key has none: so one comparison is
 * enough to see that nothing is wrong.
 */
function different(comparison: Comparison): Sql {
  const unlike = differs(comparison.columns)
  const side = sql`s.${firstColumn(comparison)} is not null`
  return comparison.shared === null ? unlike : sql`${unlike} and (${side} or t.ebb_shared)`
}

function faulty(comparison: Comparison, fault: RowFault): Sql {
  const column = firstColumn(comparison)
  switch (fault) {
    case 'missing':
      return sql`t.${column} is null`
    case 'unexpected':
      return sql`s.${column} is null and t.ebb_shared`
    case 'changed':
      return sql`s.${column} is not null and t.${column} is not null and ${differs(comparison.columns)}`
  }
}

/**
 * The image of a value may change in binary form though the value does not: a
 * composite that was stored before its type got another attribute. So where
 * images differ, what counts is text and binary form. What has no binary form no
 * COPY has carried, and its image is what it was.
 */
function differs(columns: readonly ComparedColumn[]): Sql {
  const images = compared(columns, (row) => row)
  const binary = columns.filter((column) => column.binary)
  const others = columns.filter((column) => !column.binary)
  const again = [
    ...(others.length === 0 ? [] : [compared(others, (row) => row)]),
    ...(binary.length === 0
      ? []
      : [
          compared(binary, (row) => sql`${row}::pg_catalog.text`, '<>'),
          compared(binary, (row) => sql`pg_catalog.record_send(${row})`, '<>'),
        ]),
  ]
  return sql`${images} and (${join(again, ' or ')})`
}

function compared(columns: readonly ComparedColumn[], form: (row: Sql) => Sql, operator = '*<>'): Sql {
  const row = (side: string) =>
    sql`row(${join(columns.map(({ name }) => sql`${raw(side)}.${ident(name)}`))})::pg_catalog.record`
  return sql`${form(row('s'))} ${own(operator)} ${form(row('t'))}`
}

/** Keys that more than one row of the target has: each of them would find its partner in the join. */
function repeated(comparison: Comparison, span: SeenSpan): Sql {
  const key = keyOf(comparison)
  return sql`select ${keyText(key)} as key from ${quoted(comparison.work.target)} t
  where ${settled(comparison, 't', span)} group by ${keyList(key, 't')} having pg_catalog.count(*) ${own('>')} 1`
}

function keyText({ columns }: CopyKey): Sql {
  return sql`array[${join(columns.map(({ name }) => sql`t.${ident(name)}::pg_catalog.text`))}]`
}

function within(key: CopyKey, side: string, { after, upto }: KeySpan): Sql {
  const bounds = [
    ...(after === null ? [] : [beside(key, side, '>', after)]),
    ...(upto === null ? [] : [beside(key, side, '<=', upto)]),
  ]
  return bounds.length === 0 ? raw('true') : join(bounds, ' and ')
}

/**
 * In the order of the key. As a row where one operator compares all columns,
 * which an index can follow to the end; else column by column, and it follows the first.
 */
function beside({ columns }: CopyKey, side: string, operator: '>' | '<=', at: KeyText): Sql {
  const names = columns.map(({ name }) => sql`${raw(side)}.${ident(name)}`)
  const values = columns.map(({ type }, i) => sql`${literal(at[i] ?? '')}::${raw(type)}`)
  const operators = columns.map((column) => ordered(column.operators, operator).text)
  if (new Set(operators).size === 1)
    return sql`row(${join(names)}) ${raw(operators[0] ?? operator)} row(${join(values)})`
  const is = (i: number, by: Parameters<typeof ordered>[1]) =>
    sql`${names[i] ?? raw('')} ${ordered(columns[i]?.operators, by)} ${values[i] ?? raw('')}`
  const [strict, orEqual] = operator === '>' ? (['>', '>='] as const) : (['<', '<='] as const)
  const last = columns.length - 1
  const ways = columns.map((_, i) =>
    join([...columns.slice(0, i).map((_, j) => is(j, '=')), is(i, i === last ? operator : strict)], ' and '),
  )
  return sql`${is(0, orEqual)} and (${join(ways, ' or ')})`
}
