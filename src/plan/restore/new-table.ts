import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import type { ArchivedColumn, ArchivedTable } from '../archive/receipt.ts'
import type { OnlineStep } from '../language/step.ts'

/**
 * Creates a table for archived rows: their columns, and the key. Defaults, checks and other indexes are in the
 * receipt's DDL, for people: a receipt comes from outside, so nothing that could execute something is taken from it.
 * Its types have been checked (`assertPlainType`).
 */
export function newTableStep(archived: ArchivedTable, name: TableName): OnlineStep {
  return {
    kind: 'online',
    key: 'create',
    title: `create ${display(name)}`,
    because: `a table with the columns and the key that ${display(archived)} had`,
    locks: [],
    cost: 'milliseconds',
    statements: [newTable(archived, name).text],
  }
}

function newTable({ columns, key }: ArchivedTable, name: TableName): Sql {
  const parts = columns.filter(({ generated }) => !generated).map(column)
  const primary = key === null ? [] : [sql`primary key (${join(key.columns.map((one) => ident(one)))})`]
  return sql`create table ${quoted(name)} (${join([...parts, ...primary])})`
}

function column({ name, type, notNull }: ArchivedColumn): Sql {
  return sql`${ident(name)} ${raw(type)}${raw(notNull ? ' not null' : '')}`
}
