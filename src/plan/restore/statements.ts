import { quoted, type TableName } from '../../sql/names.ts'
import { ordered, own } from '../../sql/operators.ts'
import { ident, join, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import type { ArchivedObject, ArchivedTable } from '../archive/receipt.ts'
import type { ColumnMapping, ColumnPair, RestoreTarget } from './columns.ts'
import type { TableToRestore } from './situation.ts'

/** Where the rows of an object are put before they go into the table; dropped at the commit. */
const STAGING: TableName = { schema: 'pg_temp', name: 'ebb_restore' }

/** How many keys of rows that were not inserted are listed. */
const LISTED_KEYS = 100

/** Types are those of the table, never those that a receipt names: that may be anything. */
export function stagingTable({ pairs }: ColumnMapping, { columns }: ArchivedTable): Sql {
  const types = new Map(pairs.map(({ from, to }) => [from.number, to.type]))
  const staged = columns.map(({ number }) => sql`${stagedName(number)} ${raw(types.get(number) ?? 'pg_catalog.text')}`)
  return sql`create temporary table ${ident(STAGING.name)} (${join(staged)}) on commit drop`
}

/** Of every format, the content is CSV. */
export function copyIn(): Sql {
  return sql`copy ${quoted(STAGING)} from stdin with (format csv, header, encoding 'UTF8')`
}

/** What is there stays. */
export function insertRows(one: TableToRestore, mapping: ColumnMapping): Sql {
  const always = mapping.pairs.some(({ to }) => to.identity === 'always')
  const overriding = raw(always ? ' overriding system value' : '')
  const names = join(mapping.pairs.map(({ to }) => ident(to.name)))
  return sql`insert into ${quoted(one.table.name)} (${names})${overriding} select ${names} from ${selected(one, mapping)} on conflict do nothing`
}

/** Rows that the table has with other values get those archived; those with the same are not touched. */
export function overwriteRows(one: TableToRestore, mapping: ColumnMapping): Sql | null {
  const key = primaryKeyOf(one.table, mapping)
  const others = mapping.pairs.filter((pair) => !(key?.pairs ?? []).includes(pair))
  if (key === null || others.length === 0) return null
  const values = join(others.map(({ to }) => sql`${ident(to.name)} = s.${ident(to.name)}`))
  return sql`update ${quoted(one.table.name)} t set ${values} from (select * from ${selected(one, mapping)}) s where ${key.same} and ${differ(mapping)}`
}

export function countSelected(one: TableToRestore, mapping: ColumnMapping): Sql {
  return sql`select pg_catalog.count(*)::pg_catalog.float8 as selected from ${selected(one, mapping)}`
}

/**
 * The selected rows of an object, with what its group says of them. Null where it has none, the column has another type by
 * now, or where the text of a value depends on settings: the condition has other ones than the archive.
 */
export function selectedOfObject(
  { archived, predicate }: TableToRestore,
  { pairs }: ColumnMapping,
  { group }: ArchivedObject,
): Sql | null {
  const column = pairs.find(({ from }) => from.name === archived.groupedBy)
  const groups = new Set(archived.objects.flatMap((one) => one.group ?? []))
  if (predicate === null || column === undefined || !isPlain(column) || groups.size === 0) return null
  const value = sql`t.${ident(column.to.name)}`
  const held =
    group == null
      ? [...groups].map((other) => sql`${value} ${own('<>')} ${literal(other)}`)
      : [sql`${value} ${own('=')} ${literal(group)}`]
  return sql`select from (${asTable(pairs)}) t where ${join([sql`(${raw(predicate.text)}\n)`, ...held], ' and ')}`
}

/** A value has one text, and no other value is equal to it by some collation. */
function isPlain({ from, to }: ColumnPair): boolean {
  return from.type === to.type && PLAIN_TEXT.test(to.type) && from.collation == null
}

/** Types whose values have one text under any settings, as `format_type` has them. */
const PLAIN_TEXT = /^(?:smallint|integer|bigint|numeric|text|character varying|uuid|boolean)(?:\([\d,]+\))?$/

/**
 * Which of the selected rows have been neither inserted nor overwritten: those that the table has with the same values,
 * with others, and those that it refused, because another row has a unique value of theirs or a trigger does without
 * them. What this transaction has written is told by its number. Null where no primary key tells which row is which.
 */
export function conflicts(one: TableToRestore, mapping: ColumnMapping): Sql | null {
  const key = primaryKeyOf(one.table, mapping)
  if (key === null) return null
  const ours = sql`t.xmin ${own('=')} pg_catalog.pg_current_xact_id()::pg_catalog.xid`
  const texts = join(key.pairs.map(({ to }) => sql`s.${ident(to.name)}::pg_catalog.text`))
  return sql`with ebb_left as materialized (
  select pg_catalog.json_build_array(${texts}) as key, t.xmin is not null as there, ${differ(mapping)} as differs
  from (select * from ${selected(one, mapping)}) s left join ${quoted(one.table.name)} t on ${key.same}
  where (${ours}) is not true
) select pg_catalog.count(*) filter (where there and not differs)::pg_catalog.float8 as present,
  pg_catalog.count(*) filter (where there and differs)::pg_catalog.float8 as differing,
  pg_catalog.count(*) filter (where not there)::pg_catalog.float8 as refused,
  (select coalesce(pg_catalog.json_agg(k.key), '[]') from (select key from ebb_left where not there or differs limit ${raw(String(LISTED_KEYS))}) k) as keys
from ebb_left`
}

/** Compared as text, which needs no operator of a type: both sides are written by the same session. */
export function leaveOutKept({ pairs }: ColumnMapping, { columns }: ArchivedTable, keptBy: readonly string[]): Sql {
  const key = keptBy.flatMap((name) => columns.find((column) => column.name === name) ?? [])
  const staged = key.map(({ number }) => sql`s.${stagedName(number)}`)
  const kept = key.map(({ number }, i) => {
    const type = pairs.find(({ from }) => from.number === number)?.to.type ?? 'pg_catalog.text'
    return sql`(k.value ${own('->>')} ${raw(String(i))})::${raw(type)}`
  })
  return sql`delete from ${quoted(STAGING)} s using pg_catalog.json_array_elements($1::pg_catalog.json) k where row(${join(staged)})::pg_catalog.text ${own('=')} row(${join(kept)})::pg_catalog.text`
}

export interface MappedKey {
  readonly pairs: readonly ColumnPair[]
  /** That a row `t` of the table and a selected one `s` have the same. */
  readonly same: Sql
}

/** The primary key, if all of it is restored. */
export function primaryKeyOf({ indexes }: RestoreTarget, { pairs }: ColumnMapping): MappedKey | null {
  const primary = indexes.find((index) => index.primary)
  if (primary === undefined) return null
  const key = primary.columns.flatMap((column) => pairs.find(({ to }) => to.name === column) ?? [])
  if (key.length < primary.columns.length) return null
  const same = key.map(({ to }, i) => {
    const equals = ordered(primary.operators[i], '=')
    return sql`t.${ident(to.name)} ${equals} s.${ident(to.name)}`
  })
  return { pairs: key, same: join(same, ' and ') }
}

function differ({ pairs }: ColumnMapping): Sql {
  const [present, archived] = ['t', 's'].map((side) => join(pairs.map(({ to }) => sql`${raw(side)}.${ident(to.name)}`)))
  return sql`row(${present ?? raw('')})::pg_catalog.text ${own('<>')} row(${archived ?? raw('')})::pg_catalog.text`
}

/** The staged rows under the table's names, so that a condition can be read as one on the table. */
function selected({ predicate }: TableToRestore, { pairs }: ColumnMapping): Sql {
  const where = raw(predicate === null ? '' : ` where (${predicate.text}\n) is true`)
  return sql`(${asTable(pairs)}) t${where}`
}

function asTable(pairs: readonly ColumnPair[]): Sql {
  const rows = pairs.map(({ from, to }) => sql`${stagedName(from.number)} as ${ident(to.name)}`)
  return sql`select ${join(rows)} from ${quoted(STAGING)}`
}

function stagedName(number: number): Sql {
  return ident(`c${number}`)
}
