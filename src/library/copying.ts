import { parseInterval } from '../grid/interval.ts'
import type { Transport } from '../plan/copy/work.ts'
import { assertWhole } from './checks.ts'

/** How rows are copied, and what becomes of those that are not. */
export interface CopyOptions {
  /** `auto` by default: both are tried on the first chunks. */
  readonly transport?: Transport | 'auto'
  /** Chunks at the same time; 1 by default. */
  readonly jobs?: number
  /** Rows may only be left out with this: there are no archives yet. */
  readonly noArchive?: boolean
  /** The former table goes by itself, by the first `rotate` that long after the end: `7 days`. */
  readonly retireAfter?: string
  /** Free disk on the server, in bytes: a copy that would not fit is not started. */
  readonly diskFree?: number
}

/** What rebuild, split and partition by copying ask for in common. */
export function copyRequest({ transport = 'auto', jobs = 1, noArchive = false, retireAfter }: CopyOptions) {
  assertWhole('jobs', jobs)
  return { transport, jobs, noArchive, retireAfter: retireAfter === undefined ? null : parseInterval(retireAfter) }
}
