import { putUnder } from '../../sql/condition-settings.ts'
import { quoted } from '../../sql/names.ts'
import { ident } from '../../sql/sql.ts'
import type { ArchivedColumn, ArchivedTable, Encoding } from './receipt.ts'
import { readingSettings } from './settings.ts'

/** How objects are read without Ebb, years later; encrypted ones are decrypted first, with age. */
export interface Reading {
  /** Statements that load the rows: the COPY of each object, decompressed. */
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

/**
 * Nothing of it may be left to detection: by default NULL and '' become one, lines that begin with # are comments, and
 * what looks like a number becomes a double.
 */
function duckdbQuery(table: Readable, { format, compression, encryption }: Encoding): string | null {
  const { columns, objects } = table
  if (columns.length === 0 || format !== 'csv') return null
  const files = objects.map(({ name }) => text(encryption === null ? name : name.replace(/\.age$/, '')))
  const types = columns.map(({ name, type }) => `${text(name)}: '${DUCKDB_TYPES[type] ?? 'VARCHAR'}'`)
  const options = [
    `[${files.join(', ')}]`,
    `columns = {${types.join(', ')}}`,
    'auto_detect = false',
    'header = true',
    `delim = ','`,
    `quote = '"'`,
    `escape = '"'`,
    `new_line = '\\n'`,
    `comment = ''`,
    `nullstr = ''`,
    'allow_quoted_nulls = false',
    `compression = '${compression}'`,
  ]
  return `select * from read_csv(${options.join(', ')})`
}

/** Types whose values DuckDB reads as they are, or refuses; of times and numerics it takes some for others. */
const DUCKDB_TYPES: Readonly<Record<string, string>> = {
  smallint: 'SMALLINT',
  integer: 'INTEGER',
  bigint: 'BIGINT',
  boolean: 'BOOLEAN',
  uuid: 'UUID',
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}
