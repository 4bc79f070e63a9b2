import { putUnder } from '../../sql/condition-settings.ts'
import { quoted } from '../../sql/names.ts'
import { ident } from '../../sql/sql.ts'
import { FORMATS } from './formats.ts'
import type { ArchivedColumn, ArchivedTable, Encoding } from './receipt.ts'
import { readingSettings } from './settings.ts'

/** How objects are read without Ebb, years later; encrypted ones are decrypted first, with age. */
export interface Reading {
  /** Statements that load the rows: the COPY of each object, decompressed; none where COPY does not read the format. */
  readonly copy: readonly string[]
  /** A query for DuckDB, in the folder of the receipt; null of a table without columns. */
  readonly duckdb: string | null
}

/** What of a table and its encoding tells how to read it. */
export type Readable = Pick<ArchivedTable, 'schema' | 'name' | 'columns' | 'objects'>

export function readingOf(table: Readable, encoding: Encoding): Reading {
  return { copy: [...settingStatements(encoding), ...copyStatements(table)], duckdb: duckdbQuery(table, encoding) }
}

/** What shapes values otherwise than a session usually does: signs in intervals, the currency of money. */
function settingStatements(encoding: Encoding): string[] {
  return putUnder(readingSettings(encoding)).map((statement) => statement.replace(/^set local /, 'set '))
}

// COPY has no place for generated columns, so their values stop in a temporary table.
function copyStatements({ columns, ...table }: Readable): string[] {
  const copy = (into: string) =>
    `copy ${into} (${namesOf(columns)}) from stdin with (format csv, header, encoding 'UTF8')`
  if (!columns.some(({ generated }) => generated)) return [copy(quoted(table).text)]
  const own = namesOf(columns.filter(({ generated }) => !generated))
  return [
    `create temporary table archived (${columns.map(({ name, type }) => `${ident(name).text} ${type}`).join(', ')})`,
    copy('archived'),
    `insert into ${quoted(table).text} (${own}) overriding system value select ${own} from archived`,
  ]
}

function namesOf(columns: readonly ArchivedColumn[]): string {
  return columns.map(({ name }) => ident(name).text).join(', ')
}

function duckdbQuery(table: Readable, { format, compression, encryption }: Encoding): string | null {
  const { columns, objects } = table
  if (columns.length === 0) return null
  const files = objects.map(({ name }) => (encryption === null ? name : name.replace(/\.age$/, '')))
  return FORMATS[format].readByDuckDb(table, files, compression)
}
