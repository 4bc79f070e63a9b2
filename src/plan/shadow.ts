import type { Constraint, Index, TableModel } from '../catalog/table-model.ts'
import { freeCompanion, quoted, type TableName } from '../sql/names.ts'
import { ident, join, raw, sql, type Sql } from '../sql/sql.ts'
import * as definitions from './definitions.ts'

// The shadow: a new table with the columns of the source and, while it fills,
// nothing else. What slows a load or would refuse rows that the source has
// (indexes, checks, foreign keys) is added when the rows are there.

/** The names of the shadow's parts until the swap gives them those of the source. */
export interface ShadowNames {
  readonly shadow: TableName
  readonly indexes: Readonly<Record<string, string>>
}

export function shadowNames(table: TableModel, taken: ReadonlySet<string>): ShadowNames {
  const used = new Set(taken)
  const use = (base: string): string => {
    const name = freeCompanion(base, '_ebb', used)
    used.add(name)
    return name
  }
  const shadow = { schema: table.name.schema, name: use(table.name.name) }
  return { shadow, indexes: Object.fromEntries(table.indexes.map(({ name }) => [name, use(name)])) }
}

/** Columns only; autovacuum stays away until the rows are there and it would find something to do. */
export function createShadow(table: TableModel, { shadow }: ShadowNames): string[] {
  const place = quoted(shadow)
  const including = ['defaults', 'generated', 'storage', 'compression', 'comments']
    .map((what) => `including ${what}`)
    .join(' ')
  const tablespace = table.tablespace === null ? raw('') : sql` tablespace ${ident(table.tablespace)}`
  const own = table.options.filter((option) => !option.startsWith('autovacuum_enabled='))
  return [
    sql`create table ${place} (like ${quoted(table.name)} ${raw(including)}) with (${raw([...own, 'autovacuum_enabled=false'].join(', '))})${tablespace}`
      .text,
    ...definitions.columnSettings({ ...table, name: shadow }),
    ...definitions.revokeDefaults('table', shadow, table.defaultGrantees),
  ]
}

/** The columns that are written; generated ones make themselves. */
export function writtenColumns(table: TableModel, alias?: string): Sql {
  const columns = table.columns.filter(({ generated }) => !generated)
  return join(columns.map(({ name }) => (alias === undefined ? ident(name) : sql`${raw(alias)}.${ident(name)}`)))
}

/** An index of the shadow: the source's, under another name. */
export function shadowIndex(table: TableModel, names: ShadowNames, index: Index): string[] {
  const name = names.indexes[index.name] ?? ''
  const constraint = table.constraints.find((candidate) => candidate.name === index.constraint)
  const built =
    constraint === undefined
      ? definitions.index(table.name.schema, { ...index, name, definition: definitionFor(index, name, names.shadow) })
      : [
          ...definitions.constraint(names.shadow, {
            ...constraint,
            name,
            definition: definitions.withStorage(constraint.definition, index.options),
          }),
          ...(index.tablespace === null
            ? []
            : [sql`alter index ${ident(table.name.schema, name)} set tablespace ${ident(index.tablespace)}`.text]),
          ...definitions.indexComment(table.name.schema, { ...index, name }),
        ]
  return [
    ...built,
    ...(index.clustered ? [sql`alter table ${quoted(names.shadow)} cluster on ${ident(name)}`.text] : []),
  ]
}

/**
 * What follows the name of the table in pg_get_indexdef's text belongs to no
 * table: columns, expressions, predicate. It is cut off where the catalogue says
 * that the prefix ends, never searched for.
 */
function definitionFor(index: Index, name: string, table: TableName): string {
  const unique = index.unique ? 'unique ' : ''
  return sql`create ${raw(unique)}index ${ident(name)} on ${quoted(table)} ${raw(index.tail)}`.text
}

/** Checks in the state they are in: one that was never validated must not refuse the rows that violate it. */
export function shadowCheck(shadow: TableName, constraint: Constraint): string[] {
  return definitions.constraint(shadow, constraint)
}

/** Foreign keys are made without looking at the rows, and validated in a step of their own. */
export function shadowForeignKey(shadow: TableName, constraint: Constraint): string[] {
  const definition = constraint.definition.endsWith(' NOT VALID')
    ? constraint.definition
    : `${constraint.definition} NOT VALID`
  return definitions.constraint(shadow, { ...constraint, definition })
}
