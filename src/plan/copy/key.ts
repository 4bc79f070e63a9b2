import type { Index, TableModel } from '../../catalog/table/table-model.ts'
import { display } from '../../sql/names.ts'
import { ordered, type Ordering } from '../../sql/operators.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import { reservedColumnObjections } from '../table/objections/column.ts'
import type { Objection } from '../language/objection.ts'

export interface CopyKeyColumn {
  readonly name: string
  /** That of its values in the log: without a length, and of a domain what it is made of. */
  readonly type: string
  readonly operators?: Ordering | undefined
}

/** The columns by which a row is recognised in the source, the log and the shadow. */
export interface CopyKey {
  readonly columns: readonly CopyKeyColumn[]
  readonly index: string
}

/** The primary key, else the narrowest unique index over columns that are never null; else nothing recognises a row. */
export function copyKeyOf(table: TableModel): CopyKey | null {
  const usable = table.indexes.filter((index) => isKey(table, index))
  const index =
    usable.find(({ primary }) => primary) ?? [...usable].sort((a, b) => a.columns.length - b.columns.length)[0]
  if (index === undefined) return null
  const columns = index.columns.map((name, i) => ({
    name: name ?? '',
    type: table.baseTypes[name ?? ''] ?? '',
    operators: index.operators[i],
  }))
  return { columns, index: index.name }
}

function isKey(table: TableModel, index: Index): boolean {
  const deferrable = table.constraints.find(({ name }) => name === index.constraint)?.deferrable ?? false
  const certain = index.columns.every((column) => column !== null && isNeverNull(table, column))
  return index.unique && index.valid && !index.partial && !deferrable && certain
}

function isNeverNull(table: TableModel, column: string): boolean {
  return table.columns.find(({ name }) => name === column)?.notNull === true
}

/** Why changed rows of a table could not be found again in its copy, or the two not be compared. */
export function copyKeyObjections(table: TableModel, key: CopyKey | null): Objection[] {
  return [
    ...(key === null ? [noKeyObjection(table)] : []),
    ...widthObjections(table),
    ...reservedColumnObjections(table),
  ]
}

/** A join has at most 1,664 columns (MaxTupleAttributeNumber); the comparison joins both tables, and has one of its own. */
const MOST_COLUMNS = 831

function widthObjections({ name, columns }: TableModel): Objection[] {
  if (columns.length <= MOST_COLUMNS) return []
  return [
    {
      code: 'too-wide',
      what: `${display(name)} has ${columns.length} columns: a copy is compared with the table before it takes its place, and PostgreSQL cannot join two tables of more than ${MOST_COLUMNS} each`,
      fix: 'ebb partition converts it without copying; ebb purge deletes rows in place.',
      acceptable: false,
    },
  ]
}

export function noKeyObjection(table: TableModel): Objection {
  return {
    code: 'no-key',
    what: `${display(table.name)} has neither a primary key nor a unique index over columns that cannot be null, so a changed row could not be found again in the copy`,
    fix: 'Add one first, without blocking reads or writes: create unique index concurrently …, and alter … set not null by way of a validated check.',
    acceptable: false,
  }
}

/** `a.k1 = b.k1 and a.k2 = b.k2`, as the index of the key compares. */
export function sameKey(key: CopyKey, a: string, b: string): Sql {
  return join(
    key.columns.map(
      ({ name, operators }) => sql`${raw(a)}.${ident(name)} ${ordered(operators, '=')} ${raw(b)}.${ident(name)}`,
    ),
    ' and ',
  )
}

/** `k1, k2`, or `alias.k1, alias.k2`. */
export function keyList(key: CopyKey, alias?: string): Sql {
  return join(key.columns.map(({ name }) => (alias === undefined ? ident(name) : sql`${raw(alias)}.${ident(name)}`)))
}
