import { ident, sql, type Sql } from '../../sql/sql.ts'
import { sentInUtc } from './parquet/sent.ts'
import { readCsvByDuckDb, readParquetByDuckDb } from './reading-by-duckdb.ts'
import type { ArchivedColumn, ArchivedTable, Encoding } from './receipt.ts'
import type { ArchiveFormat, Compression } from './request.ts'
import { asSent } from './rows.ts'

/** What is to be known of a format without touching an object: archive/content/formats.ts has the other half. */
export interface FormatFacts {
  /** Whether zstd does not depend on the version of Node.js. */
  readonly hasZstd: boolean
  /** What the names of its objects end with. */
  extensions(compression: Compression): readonly string[]
  /** What COPY sends of a column of `t`, if it is not what it sends for any format. */
  sent(column: Pick<ArchivedColumn, 'name' | 'type'>, settings: Encoding['settings']): Sql | null
  /** Whether COPY reads its objects, decompressed. */
  readonly copied: boolean
  readByDuckDb(table: Pick<ArchivedTable, 'columns'>, files: readonly string[], compression: Compression): string
}

export const FORMATS: Readonly<Record<ArchiveFormat, FormatFacts>> = {
  csv: {
    hasZstd: false,
    extensions: (compression) => ['csv', ...{ zstd: ['zst'], gzip: ['gz'], none: [] }[compression]],
    sent: () => null,
    copied: true,
    readByDuckDb: readCsvByDuckDb,
  },
  // Compresses its pages itself.
  parquet: {
    hasZstd: true,
    extensions: () => ['parquet'],
    sent: sentInUtc,
    copied: false,
    readByDuckDb: readParquetByDuckDb,
  },
}

/** The select list of a COPY. */
export function sentColumns(
  columns: readonly Pick<ArchivedColumn, 'name' | 'type'>[],
  { format, settings }: Pick<Encoding, 'format' | 'settings'>,
): Sql[] {
  return columns.map((column) => {
    const sent = FORMATS[format].sent(column, settings)
    return sent === null ? asSent(column) : sql`${sent} as ${ident(column.name)}`
  })
}
