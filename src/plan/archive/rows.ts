import { quoted, type TableName } from '../../sql/names.ts'
import { own } from '../../sql/operators.ts'
import { ident, join, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import type { ArchivedColumn } from './receipt.ts'

/** Rows of a relation, to be archived as one snapshot has them. */
export interface RowsToArchive {
  readonly table: TableName
  /** A relation that has only the name is not meant. */
  readonly oid: string
  /** The table that they were in, where it is called otherwise by now: the receipt has this name. */
  readonly as?: TableName
  /** Where their archives are kept, if not in the folder of the table. */
  readonly folder?: string
  /** Of a partition that has been detached: a table has no bounds. */
  readonly partitionOf: { readonly schema: string; readonly name: string; readonly bounds: string } | null
  /** What follows `from … t` and selects them: a condition, or a join with a table of their keys; null for all rows. */
  readonly chosen: string | null
  /** The same for people, with now() fixed; null for all rows. */
  readonly where: string | null
  /** The instant before which they have expired; null without one. */
  readonly horizon: string | null
  /** As it is estimated, for progress; null if unknown. */
  readonly estimatedRows: number | null
  /** A table with the keys of exactly these rows, which shows their range. */
  readonly keys?: KeysOfRows
  /** Where they are groups of rows, of which each large one gets objects of its own. */
  readonly groups?: GroupsOfRows
}

/** The rows are whole groups: none has NULL in the column. */
export interface GroupsOfRows {
  readonly column: string
  /** The operator by which rows are of one group. */
  readonly equals: string
  /** A query for the groups: `value`, as text, how many `rows` each has, and `total`, those of all groups of the table. */
  readonly sizes: string
}

/** Some of the rows, which are sent apart from the others. */
export interface Section {
  /** As of {@link RowsToArchive}. */
  readonly chosen: string | null
  /** The group that they are of; null for the rows of all groups that have no section of their own. */
  readonly group: string | null
}

/** The rows of each of these groups, and then all others. */
export function sectionsOf({ chosen, groups }: RowsToArchive, values: readonly string[]): readonly Section[] {
  if (chosen === null || groups === undefined || values.length === 0) return [{ chosen, group: null }]
  const equals = sql`${ident('t', groups.column)} ${raw(groups.equals)}`
  const others = sql`(${equals} any (${literal(arrayLiteral(values))})) is not true`
  return [
    ...values.map((group) => ({ chosen: `${chosen} and ${sql`${equals} ${literal(group)}`.text}`, group })),
    { chosen: `${chosen} and ${others.text}`, group: null },
  ]
}

function arrayLiteral(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}

export interface KeysOfRows {
  readonly table: TableName
  readonly columns: readonly string[]
  /** What has the columns, as it follows `from`, where the table has the keys in another form. */
  readonly source?: string
}

/** A relation as its rows are read: with its partitions, or by itself. */
export interface Relation {
  readonly table: TableName
  readonly kind: 'table' | 'partitioned table'
}

/**
 * The statement that sends the rows. It is a query in any case: COPY of a table refuses generated columns. NULL is an
 * empty field, an empty text `""`. Null stands for all columns as they are.
 */
export function copyStatement(
  relation: Relation,
  columns: readonly Sql[] | null,
  chosen: string | null,
  header = true,
): string {
  const list = columns === null ? raw('t.*') : join(columns)
  return sql`copy (select ${list} ${from(relation, chosen)}) to stdout (format csv, header ${raw(String(header))}, encoding 'UTF8')`
    .text
}

/** PostgreSQL writes xml without its declaration, and as text with it. */
const AS_TEXT: Readonly<Record<string, string>> = { xml: 'pg_catalog.text', 'xml[]': 'pg_catalog.text[]' }

/** A column as an expression whose output is the whole value. */
export function asSent({ name, type }: Pick<ArchivedColumn, 'name' | 'type'>): Sql {
  const as = AS_TEXT[type]
  return as === undefined ? sql`t.${ident(name)}` : sql`t.${ident(name)}::${raw(as)} as ${ident(name)}`
}

export function countRows(relation: Relation, chosen: string | null): Sql {
  return sql`select count(*)::float8 as rows ${from(relation, chosen)}`
}

/** The first and the last key of rows, at once; only for a type that has both. */
export function endsOfKey(rows: Sql, name: string): Sql {
  const [first, last] = ['min', 'max'].map((which) => sql`pg_catalog.${raw(which)}(t.${ident(name)})::pg_catalog.text`)
  return sql`select array[${first ?? raw('')}] as first, array[${last ?? raw('')}] as last ${rows} having pg_catalog.count(*) ${own('>')} 0`
}

/** The first or the last of the rows, by a key. */
export function endOfKey(rows: Sql, key: readonly string[], end: 'first' | 'last'): Sql {
  const way = raw(end === 'first' ? 'asc' : 'desc')
  const values = join(key.map((name) => sql`t.${ident(name)}::pg_catalog.text`))
  const order = join(key.map((name) => sql`t.${ident(name)} ${way}`))
  return sql`select array[${values}] as key ${rows} order by ${order} limit 1`
}

/** `from … t`, with what selects the rows. */
export function from({ table, kind }: Relation, chosen: string | null): Sql {
  return sql`from ${raw(kind === 'table' ? 'only ' : '')}${quoted(table)} t${raw(chosen === null ? '' : ` ${chosen}`)}`
}

export function fromKeys({ table, source }: KeysOfRows): Sql {
  return source === undefined ? from({ table, kind: 'table' }, null) : sql`from ${raw(source)}`
}
