import type { Column, TableModel } from '../../catalog/table/table-model.ts'
import { quoted } from '../../sql/names.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import { constraint } from '../table/definitions.ts'
import type { ArchivedColumn, ArchivedTable } from './receipt.ts'

// What a receipt says of a table, so that its rows can be read when it is no longer there.

export type Shape = Pick<ArchivedTable, 'columns' | 'ddl'>

/** `numbers` are the columns' attnums, in the order of the columns. */
export function shapeOf(table: TableModel, numbers: readonly number[]): Shape {
  const columns = table.columns.map((column, position) => archivedColumn(column, numbers[position] ?? 0))
  return { columns, ddl: ddlOf(table) }
}

function archivedColumn({ name, type, notNull, generated }: Column, number: number): ArchivedColumn {
  return { name, number, type, notNull, generated }
}

/** The constraints that are about the rows themselves. */
const OF_ROWS: readonly string[] = ['primary key', 'unique', 'exclusion', 'check']

/** Without defaults and identities: their sequences belong to the table that is there now. */
function ddlOf(table: TableModel): string[] {
  const { name, columns, constraints } = table
  return [
    sql`create table ${quoted(name)} (${join(columns.map(columnDefinition))})`.text,
    ...constraints
      .filter(({ type }) => OF_ROWS.includes(type))
      .flatMap((one) => constraint(name, { ...one, comment: null })),
  ]
}

function columnDefinition({ name, type, collation, generated, notNull, default: value }: Column): Sql {
  return sql`${ident(name)} ${raw(type)}${part('collate', collation)}${
    generated && value !== null ? sql` generated always as (${raw(value)}) stored` : raw('')
  }${raw(notNull ? ' not null' : '')}`
}

function part(word: string, text: string | null): Sql {
  return raw(text === null ? '' : ` ${word} ${text}`)
}
