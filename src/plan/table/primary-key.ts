import type { Index, TableModel } from '../../catalog/table/table-model.ts'
import { freeCompanion, quoted, type TableName } from '../../sql/names.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import type { IndexStep } from '../language/step.ts'
import { NOT_ANALYZED, showBytes, showDuration, showRows } from '../../text/units.ts'

/** A primary key that had to take the key in. */
export interface NewPrimaryKey {
  /** The constraint's name, before and after. */
  readonly constraint: string
  /** The name under which the new index is built; the history partition keeps it. */
  readonly index: string
  /** As pg_get_constraintdef will print it. */
  readonly definition: string
  readonly columns: readonly string[]
}

/** The primary key with the key in it; null when it is there already, or there is no primary key. */
export function newPrimaryKey(table: TableModel, key: string, taken: ReadonlySet<string>): NewPrimaryKey | null {
  const index = table.indexes.find(({ primary }) => primary)
  const constraint = table.constraints.find(({ type }) => type === 'primary key')
  if (index === undefined || constraint === undefined || constraint.columns.includes(key)) return null
  const written = (column: string) => table.columns.find(({ name }) => name === column)?.quoted ?? column
  const included = index.included.filter((column) => column !== key)
  // What does not overlap comes last.
  const isTemporal = index.excludes === true
  const columns = isTemporal ? constraint.columns.toSpliced(-1, 0, key) : [...constraint.columns, key]
  return {
    constraint: constraint.name,
    index: freeCompanion(constraint.name, '_history', taken),
    definition: [
      `PRIMARY KEY (${columns.map(written).join(', ')}${isTemporal ? ' WITHOUT OVERLAPS' : ''})`,
      ...(included.length === 0 ? [] : [`INCLUDE (${included.map(written).join(', ')})`]),
      ...(constraint.deferrable ? ['DEFERRABLE'] : []),
      ...(constraint.deferred ? ['INITIALLY DEFERRED'] : []),
    ].join(' '),
    columns,
  }
}

/** `add constraint NAME primary key using index INDEX`, as deferrable as the one of the table that it stands for. */
export function usingIndex(table: TableModel, constraint: string, name: string, index: string): Sql {
  const { deferrable, deferred } = table.constraints.find((one) => one.name === constraint) ?? {}
  const when = raw(`${deferrable ? ' deferrable' : ''}${deferred ? ' initially deferred' : ''}`)
  return sql`add constraint ${ident(name)} primary key using index ${ident(index)}${when}`
}

/** Cautious, from a small machine: only the order of magnitude matters to the reader. */
const INDEXED_ROWS_PER_SECOND = 1_000_000

/** Builds a unique index like `model` on other columns of `table`, without a lock that blocks. */
export function buildUniqueIndex(
  table: TableName,
  model: Index,
  columns: readonly string[],
  name: string,
  rows: number | null,
  because: string,
): IndexStep {
  const list = join(columns.map((column) => ident(column)))
  const included = model.included.filter((column) => !columns.includes(column)).map((column) => ident(column))
  const include = included.length === 0 ? raw('') : sql` include (${join(included)})`
  const storage = model.options.length === 0 ? raw('') : sql` with (${raw(model.options.join(', '))})`
  const tablespace = model.tablespace === null ? raw('') : sql` tablespace ${ident(model.tablespace)}`
  return {
    kind: 'index',
    key: 'primary-key-index',
    title: `build a unique index on (${columns.join(', ')})`,
    because,
    locks: [{ table, mode: 'SHARE UPDATE EXCLUSIVE', blocks: 'nothing', held: 'all along' }],
    cost: `${indexingTime(rows)}, and about ${showBytes(model.bytes * 1.5)} of disk; it waits for transactions that are older than it`,
    index: { schema: table.schema, name },
    statements: [
      sql`create unique index concurrently ${ident(name)} on ${quoted(table)} (${list})${include}${storage}${tablespace}`
        .text,
    ],
  }
}

/** How long an index of a table of so many rows takes to build, for people. */
export function indexingTime(rows: number | null): string {
  return rows === null ? NOT_ANALYZED : `about ${showDuration(rows / INDEXED_ROWS_PER_SECOND)} for ${showRows(rows)}`
}

/** The columns of an index without expressions. */
export function plainColumns(index: Index): string[] {
  return index.columns.flatMap((column) => (column === null ? [] : [column]))
}
