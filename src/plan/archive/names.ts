import { createHash } from 'node:crypto'
import type { TableName } from '../../sql/names.ts'
import { FORMATS } from './formats.ts'
import type { ArchiveFormat, Compression } from './request.ts'

// The names of what an archive consists of, below the URI of its store:
//
//   public.events/20261129T131507250Z-5f0c9a1e/             its id, by which everything of it begins
//     public.events-00001.csv.zst.age                       objects, the rows of each table in order
//     receipt.json                                          written last
//     removal.json                                          once rows have been removed

export const RECEIPT = 'receipt.json'
export const REMOVAL = 'removal.json'

/** The id of an archive in a folder, mostly that of a table; ids in one sort by time. `unique` tells apart those that are begun at the same moment. */
export function archiveId(folder: string, begunAt: Date, unique: string): string {
  return `${folder}/${begunAt.toISOString().replace(/[-:.]/g, '')}-${unique}`
}

/** The folder of a table's archives. */
export function tableFolder({ schema, name }: TableName): string {
  return `${plain(schema)}.${plain(name)}`
}

/**
 * The folder of a partition's archives as Hive names folders, below that of its table: `public.events/created_at_from=2026-11-01`.
 * Engines make a column of it, which takes the place of one in the rows; so it is called like none of these.
 */
export function hiveFolder(table: TableName, key: string, columns: readonly string[], bounds: string): string {
  let name = `${plain(key)}_from`
  while (columns.includes(name)) name += '_'
  const [, from = 'default'] = /^FOR VALUES FROM \('?(.*?)'?\) TO /.exec(bounds) ?? []
  return `${tableFolder(table)}/${name}=${encodeURIComponent(from.replace(/ 00:00:00(?:\+00)?$/, '')).slice(0, LONGEST_VALUE)}`
}

const LONGEST_VALUE = 100

/** The name of an object, relative to the receipt; the first has number 1. */
export function objectName(table: TableName, number: number, encoding: FileKind): string {
  return `${tableFolder(table)}-${String(number).padStart(5, '0')}.${extension(encoding)}`
}

/** What the extensions of an object say. */
export interface FileKind {
  readonly format: ArchiveFormat
  readonly compression: Compression
  readonly encryption: object | null
}

function extension({ format, compression, encryption }: FileKind): string {
  return [...FORMATS[format].extensions(compression), ...(encryption === null ? [] : ['age'])].join('.')
}

/** The folder of the archive that an object is in, or null if it is in none. */
export function folderOfArchive(object: string): string | null {
  return /^(?:.*\/)?\d{8}T\d{9}Z-\w+(?=\/[^/]+$)/.exec(object)?.[0] ?? null
}

const LONGEST_PLAIN = 40

/**
 * A word for a file or a key of a bucket that needs no escaping anywhere: an identifier that PostgreSQL would not quote,
 * as it is; of any other the plain letters, with a digest that tells it apart. The receipt has the exact name.
 */
function plain(identifier: string): string {
  if (/^[a-z_][a-z0-9_]*$/.test(identifier) && identifier.length <= LONGEST_PLAIN) return identifier
  const digest = createHash('sha256').update(identifier).digest('hex').slice(0, 12)
  return `${identifier
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .slice(0, LONGEST_PLAIN)}-${digest}`
}
