import { ident } from '../../../sql/sql.ts'
import type { Compression } from '../request.ts'
import { TEXT, typeFor, type ParquetType } from './column-types.ts'

// The statements by which DuckDB makes a file of Parquet of CSV as PostgreSQL writes it, and the same CSV of the file.
// Columns go by their position: DuckDB takes names that differ in case alone for one.

/** A column of the file. */
export interface FileColumn {
  readonly name: string
  /** In PostgreSQL. */
  readonly type: string
  readonly stored: ParquetType
}

/** In a table of more columns arrays are stored as text: DuckDB needs several times the memory for lists. */
const MOST_COLUMNS_WITH_LISTS = 400

/** How columns are stored; those in `asText` have values that their type does not hold. */
export function fileColumns(
  columns: readonly { readonly name: string; readonly type: string }[],
  settings: Readonly<Record<string, string>>,
  asText: readonly string[],
): readonly FileColumn[] {
  const many = columns.length > MOST_COLUMNS_WITH_LISTS
  return columns.map(({ name, type }) => ({
    name,
    type,
    stored: asText.includes(name) || (many && type.endsWith('[]')) ? TEXT : typeFor(type, settings),
  }))
}

/** A file of CSV, with as many rows as reach 8 MB. */
export interface SpooledFile {
  readonly path: string
  readonly bytes: number
  readonly rows: number
}

export interface FileToWrite {
  readonly columns: readonly FileColumn[]
  /** CSV without headers: the rows, in the order of the files; at least one. */
  readonly from: readonly SpooledFile[]
  readonly to: string
  readonly compression: Compression
  /** As PostgreSQL has written it. */
  readonly header: string
}

/** The greatest row, as CSV, that is read in little memory. */
export const MOST_ROW_BYTES = 32 * 2 ** 20

/** Of the values before compression. A reader has more than one row group in memory, as file, values and text. */
const ROW_GROUP_BYTES = 4 * 2 ** 20

/** What DuckDB reads of a file at a time: all of it. */
const LEAST_BUFFER_BYTES = 2 ** 20

/** At level 1 zstd takes pages of this size faster than at 3, DuckDB's default, and makes them as small. */
const CODECS: Readonly<Record<Compression, string>> = {
  zstd: 'zstd, compression_level 1',
  gzip: 'gzip',
  none: 'uncompressed',
}

/** DuckDB handles so many rows at a time, and row groups are multiples of it. */
const VECTOR_ROWS = 2048
/** As DuckDB has it. */
const MOST_GROUP_ROWS = 60 * VECTOR_ROWS
/** A file may be larger by so much for its last row. */
const NARROW_BYTES = 9 * 2 ** 20

/** For each, DuckDB holds some hundred KB for every thread. */
const MOST_NARROW_COLUMNS = 100

/**
 * How many rows a row group may have so that it stays small, whichever rows it has: those of one file, or of two. Null
 * where even the fewest would not, because rows are wide.
 */
export function groupRowsOf({ columns, from }: Pick<FileToWrite, 'columns' | 'from'>): number | null {
  if (columns.length > MOST_NARROW_COLUMNS || from.some(({ bytes }) => bytes > NARROW_BYTES)) return null
  const rows = Math.min(MOST_GROUP_ROWS, ...from.slice(0, -1).map((file) => file.rows))
  return rows < VECTOR_ROWS ? null : rows - (rows % VECTOR_ROWS)
}

/** Writes the file. A value that its type does not hold becomes NULL, or another one. */
export function writeFile(file: FileToWrite): string {
  const { columns, from, to, compression, header } = file
  const values = columns.map(({ stored, name }, i) => `${stored.read(`c${i}`)} as ${ident(name).text}`)
  const types = Object.fromEntries(columns.map(({ name, type }) => [name, type]))
  const groupRows = groupRowsOf(file)
  const options = [
    'format parquet',
    `compression ${CODECS[compression]}`,
    groupRows === null ? `row_group_size_bytes ${ROW_GROUP_BYTES}` : `row_group_size ${groupRows}`,
    `kv_metadata {${HEADER}: ${text(header)}, postgresql_types: ${text(JSON.stringify(types))}}`,
  ]
  return `copy (select ${values.join(', ')} from ${readCsv(columns.length, from)}) to ${text(to)} (${options.join(', ')})`
}

/** Whether each column that is not stored as text has a value that its type does not hold. */
export function findNotExact(file: FileToWrite): string {
  const found = file.columns.map(({ stored }, i) =>
    stored === TEXT ? 'false' : `coalesce(bool_or(c${i} is not null and t${i} is distinct from c${i}), false)`,
  )
  return `select [${found.join(', ')}] from (${tried(file)})`
}

/** The texts, the values, and the texts of these. Each in a query of its own: repeated, an expression is evaluated again. */
function tried({ columns, from }: FileToWrite): string {
  const typed = columns.flatMap(({ stored }, i) => (stored === TEXT ? [] : [{ stored, i }]))
  const read = typed.map(({ stored, i }) => `, ${stored.read(`c${i}`)} as x${i}`)
  const again = typed.map(({ stored, i }) => `, ${stored.text(`x${i}`)} as t${i}`)
  return `select *${again.join('')} from (select *${read.join('')} from ${readCsv(columns.length, from)})`
}

function readCsv(width: number, files: readonly SpooledFile[]): string {
  const columns = Array.from({ length: width }, (_, i) => `c${i}: 'VARCHAR'`)
  const buffer = Math.max(LEAST_BUFFER_BYTES, ...files.map(({ bytes }) => bytes + 1))
  return `read_csv([${files.map(({ path }) => text(path)).join(', ')}], columns = {${columns.join(', ')}}, auto_detect = false,
    header = false, delim = ',', quote = '"', escape = '"', new_line = '\\n', comment = '', nullstr = '',
    allow_quoted_nulls = false, parallel = false, max_line_size = ${buffer}, buffer_size = ${buffer})`
}

/** By which the file knows the header of the CSV. */
const HEADER = 'postgresql_csv_header'

export function readHeader(file: string): string {
  return `select decode(value) from parquet_kv_metadata(${text(file)}) where decode(key) = '${HEADER}'`
}

/** The names of the types, in the order of the columns. */
export function readTypes(file: string): string {
  return `select column_type from (describe select * from read_parquet(${text(file)}))`
}

/** Writes the rows of a file as PostgreSQL wrote them: a line of this CSV is a record of that. */
export function writeRows(file: string, types: readonly ParquetType[], to: string): string {
  const columns = types.map((_, i) => `x${i}`).join(', ')
  const texts = types.map((type, i) => `${type.text(`x${i}`)} as t${i}`)
  const fields = types.map((type, i) => (type.quoted === 'anywhere' ? csvField(`t${i}`, types.length === 1) : `t${i}`))
  return `copy (select concat(${fields.join(`, ',', `)}) from (
    select ${texts.join(', ')} from read_parquet(${text(file)}) as ebb_file (${columns})
  )) to ${text(to)} (format csv, header false, quote '', escape '', new_line '\\n')`
}

/** NULL is nothing, also to concat(). */
function csvField(field: string, alone: boolean): string {
  const special = [`${field} = ''`, ...[`','`, `'"'`, 'chr(10)', 'chr(13)'].map((one) => `contains(${field}, ${one})`)]
  if (alone) special.push(`${field} = '\\.'`)
  return `case when ${special.join(' or ')} then concat('"', replace(${field}, '"', '""'), '"') else ${field} end`
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}
