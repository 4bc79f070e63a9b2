/** Where rows are archived, and how. Part of the request of each command that removes rows: it holds no secret. */
export interface ArchiveRequest {
  /** Absolute, without credentials: `file:///var/archive`, `s3://bucket/prefix?region=eu-central-1`. */
  readonly uri: string
  readonly format: ArchiveFormat
  readonly compression: Compression
  /** The size of an object before compression, in bytes: an object ends with the first record beyond it. */
  readonly partBytes: number
  /** Partitions are archived in folders named after their lower bound, as Hive names them. */
  readonly hive?: boolean
  /** age recipients, all of whom can read it; none: not encrypted. */
  readonly encryptTo: readonly string[]
}

export type ArchiveFormat = 'csv' | 'parquet'

export type Compression = 'zstd' | 'gzip' | 'none'
