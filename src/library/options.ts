import type { Observer } from '../events.ts'
import type { PaceSettings } from '../pacing/limits.ts'
import type { Transport } from '../plan/copy/work.ts'

/** What every call takes. */
export interface DatabaseOptions {
  /** The schema of Ebb's journal; `ebb` by default. */
  readonly journalSchema?: string
  /** Stops between two steps, or cancels the one that is running; what was done is kept. */
  readonly signal?: AbortSignal
  /** Is told what happens. */
  readonly observer?: Observer
}

/** What a call takes whose plan may have objections. */
export interface Options extends DatabaseOptions {
  /** Codes of objections that are accepted. */
  readonly accept?: readonly string[]
}

/** How locks are asked for. */
export interface LockOptions extends DatabaseOptions {
  /** How long others may queue behind each attempt; 50 by default. */
  readonly lockTimeoutMs?: number
  /** How long to retry for a lock; ten minutes by default. */
  readonly deadlineMs?: number
}

/** How a run gives way; what is left out is as on the command line. */
export interface PaceOptions extends Partial<Omit<PaceSettings, 'windows'>> {
  /** Times of the day, such as `22:00-04:00 Europe/Berlin`. */
  readonly windows?: readonly string[]
  /** A file that retunes the run while it is under way. */
  readonly paceFile?: string
}

/** How rows are copied, and what becomes of those that are not. */
export interface CopyOptions {
  /** `auto` by default: both are tried on the first chunks. */
  readonly transport?: Transport | 'auto'
  /** Chunks at the same time; 1 by default. */
  readonly jobs?: number
  /** Rows may only be left out with this: there are no archives yet. */
  readonly noArchive?: boolean
  /** The retired table is dropped by the first `rotate` that long after the end: `7 days`. */
  readonly retireAfter?: string
  /** Free disk space on the server, in bytes: a copy that would not fit is not started. */
  readonly diskFree?: number
  /** Chunks have a size of their own. */
  readonly pace?: Omit<PaceOptions, 'targetMs'>
}
