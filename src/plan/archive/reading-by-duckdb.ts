import type { ArchivedTable } from './receipt.ts'
import type { Compression } from './request.ts'

// Queries for DuckDB that read objects, in their folder.

/**
 * Nothing of it may be left to detection: by default NULL and '' become one, lines that begin with # are comments, and
 * what looks like a number becomes a double.
 */
export function readCsvByDuckDb(
  { columns }: Pick<ArchivedTable, 'columns'>,
  files: readonly string[],
  compression: Compression,
): string {
  const types = columns.map(({ name, type }) => `${text(name)}: '${TYPES_OF_CSV[type] ?? 'VARCHAR'}'`)
  const options = [
    listOf(files),
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
const TYPES_OF_CSV: Readonly<Record<string, string>> = {
  smallint: 'SMALLINT',
  integer: 'INTEGER',
  bigint: 'BIGINT',
  boolean: 'BOOLEAN',
  uuid: 'UUID',
}

/** A file of Parquet says itself what it has. Of folders in its path nothing is taken for columns. */
export function readParquetByDuckDb(_table: unknown, files: readonly string[]): string {
  return `select * from read_parquet(${listOf(files)}, hive_partitioning = false)`
}

function listOf(files: readonly string[]): string {
  return `[${files.map(text).join(', ')}]`
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}
