import type { Observer } from '../events.ts'
import type { PaceSettings } from '../pacing/limits.ts'
import type { ArchiveFormat, Compression } from '../plan/archive/request.ts'
import type { Transport } from '../plan/copy/work.ts'

/** Options of every call. */
export interface DatabaseOptions {
  /** The schema of Ebb's journal; `ebb` by default. */
  readonly journalSchema?: string
  /** Stops between two steps, or cancels the running one; what was committed is kept. */
  readonly signal?: AbortSignal
  /** Is called with each event. It must not throw. */
  readonly observer?: Observer
}

/** Options of calls whose plans may have blocking issues. */
export interface Options extends DatabaseOptions {
  /** Codes of blocking issues that are accepted. */
  readonly accept?: readonly string[]
}

/** How locks are asked for. */
export interface LockOptions extends DatabaseOptions {
  /** How long others may queue behind each attempt; 50 by default. */
  readonly lockTimeoutMs?: number
  /** How long to retry for a lock; ten minutes by default. */
  readonly deadlineMs?: number
  /** Waits for another run on the same table: `10 minutes`, milliseconds, or true, as long as for a lock. */
  readonly wait?: string | number | true
}

/** When a run gives way; the defaults are those of the command line. */
export interface PaceOptions extends Partial<Omit<PaceSettings, 'windows'>> {
  /** Times of the day, such as `22:00-04:00 Europe/Berlin`. */
  readonly windows?: readonly string[]
  /** A JSON file with these settings, reloaded when it changes. */
  readonly paceFile?: string
}

/** How rows are copied, and what happens to the rows left out. */
export interface CopyOptions extends ArchivingOptions {
  /** `auto` by default: both are tried on the first chunks. */
  readonly transport?: Transport | 'auto'
  /** Sessions that copy and compare in parallel; `auto` by default: one, and a second while nobody else is active. */
  readonly jobs?: number | 'auto'
  /** Archives the rows left out: a directory, `file:///dir` or `s3://bucket/prefix?region=…`. To leave out rows, this or `noArchive` is required. */
  readonly archive?: string
  /** The rows left out go without an archive. */
  readonly noArchive?: boolean
  /** What the journal says of the table is kept for longer than 400 days, from now on: `7 years`. */
  readonly keepJournal?: string
  /** The retired table is dropped by the first `rotate` that long after the end: `7 days`. */
  readonly retireAfter?: string
  /** Free disk space on the server, in bytes: a copy that would not fit is not started. */
  readonly diskFree?: number
  /** Without the target duration of a batch: chunks have their own. */
  readonly pace?: Omit<PaceOptions, 'targetMs'>
}

/** How rows are archived. */
export interface ArchivingOptions {
  /** Content of each object before compression: `256 MB` by default, or a number of bytes. */
  readonly partSize?: number | string
  /** `csv` by default; `parquet` takes the package `@duckdb/node-api`. */
  readonly archiveFormat?: ArchiveFormat
  /** `zstd`; `gzip` for CSV where Node.js has no zstd. */
  readonly compression?: Compression
  /** Recipients of age, for whom it is encrypted. */
  readonly encryptTo?: readonly string[]
}
