import type { UserType } from '../../catalog/table/user-types.ts'
import type { TableName } from '../../sql/names.ts'
import type { ArchiveFormat, Compression } from './request.ts'

// The receipt: what was archived, and the proof of it. It is written after all objects have been read back, before
// anything is removed, and never changed. It holds no values of rows but the range of the key and those of large groups, and
// no secret.

/** The version of this format. A receipt of a later one is refused. */
export const RECEIPT_FORMAT = 1

export interface Receipt {
  readonly format: number
  /** By which everything of this archive is found: the beginning of the names of its objects. */
  readonly id: string
  /** By the server's clock, ISO 8601 in UTC. */
  readonly createdAt: string
  readonly tool: string
  readonly run: ReceiptRun
  readonly database: { readonly name: string; readonly systemIdentifier: string | null; readonly serverVersion: string }
  /** The table whose rows were selected first, then those of the tables whose rows depend on them. */
  readonly tables: readonly ArchivedTable[]
  readonly encoding: Encoding
}

/** Why rows are removed, and who decided it. */
export interface ReceiptRun {
  /** `purge`, `rotate`, `archive`, … */
  readonly command: string
  /** Null where the command has no run in the journal. */
  readonly id: string | null
  readonly startedBy: string
  readonly approvedBy: string | null
  readonly ticket: string | null
}

export interface ArchivedTable {
  readonly schema: string
  readonly name: string
  readonly oid: string
  /** Of a partition: its table and its bounds, as `pg_get_expr` has them. */
  readonly partitionOf: { readonly schema: string; readonly name: string; readonly bounds: string } | null
  /** Which rows: all, or a condition with now() fixed. */
  readonly where: string | null
  /** The instant before which rows have expired; null without one. */
  readonly horizon: string | null
  /** In the order of the content. */
  readonly columns: readonly ArchivedColumn[]
  /** Null without one; receipts of earlier versions do not say. */
  readonly primaryKey?: readonly string[] | null | undefined
  readonly comment?: string | null | undefined
  /** Statements that create an empty table of the same shape: columns, keys, checks, comments; no foreign keys, no triggers. */
  readonly ddl: readonly string[]
  /** SHA-256 of `columns` and `ddl`. */
  readonly fingerprint: string
  /** The range of the key, as text; null for an empty archive or a table without one. */
  readonly key: {
    readonly columns: readonly string[]
    readonly first: readonly string[]
    readonly last: readonly string[]
  } | null
  /** The column by which objects have a `group`; null or nothing where none has. */
  readonly groupedBy?: string | null | undefined
  readonly rows: number
  /** SHA-256 of the rows as PostgreSQL sent them, after the header, once: of `copy … to stdout (format csv, header)`. */
  readonly sha256: string
  readonly objects: readonly ArchivedObject[]
}

export interface ArchivedColumn {
  readonly name: string
  /** `attnum`, which a rename keeps. */
  readonly number: number
  /** By `format_type`, qualified where the type is not in pg_catalog. */
  readonly type: string
  readonly notNull: boolean
  /** Generated columns are archived as they were, and computed again where they still are generated. */
  readonly generated: boolean
  // What receipts of earlier versions do not say:
  /** Of a generated column its expression. */
  readonly default?: string | null | undefined
  readonly identity?: 'always' | 'by default' | null | undefined
  /** Null: that of the type. */
  readonly collation?: TableName | null | undefined
  readonly comment?: string | null | undefined
  /** What its type is made of, as far as that is not PostgreSQL's own. */
  readonly types?: readonly UserType[] | null | undefined
}

export interface ArchivedObject {
  /** Relative to the receipt. */
  readonly name: string
  readonly rows: number
  /** As stored. */
  readonly bytes: number
  readonly sha256: string
  /** Decrypted and decompressed, with the header, which each object has. */
  readonly contentBytes: number
  readonly contentSha256: string
  /** It has the rows with this value, as text, in the column `groupedBy`, and no other object of the table has any. */
  readonly group?: string | null | undefined
}

/** How contents are encoded: the format, then compressed, then encrypted. */
export interface Encoding {
  readonly format: ArchiveFormat
  /** Settings of the session that wrote it, under which it is read again. */
  readonly settings: Readonly<Record<string, string>>
  readonly compression: Compression
  /** Null where it is not encrypted. */
  readonly encryption: { readonly kind: 'age'; readonly recipients: readonly string[] } | null
}
