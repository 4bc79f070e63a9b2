import type { Pacing } from '../pacing/limits.ts'
import type { Observer } from '../events.ts'
import type { LockLimits } from './locks/short-locks.ts'
import type { CopySizes } from './copy/sizes.ts'
import type { Turns } from './purge/turns.ts'

/** What every command is given besides its request. */
export interface EngineOptions {
  /** Free disk where a copy would go, in bytes, if somebody knows: PostgreSQL does not tell. */
  readonly diskFree?: number
  readonly journalSchema: string
  /** Codes of objections to the table that were accepted. */
  readonly accept?: readonly string[]
  readonly observer: Observer
  readonly signal: AbortSignal
  readonly lockLimits?: LockLimits
  readonly copySizes?: CopySizes
  /** Who paces the batches of a purge; without one they follow the pace. */
  readonly turns?: Turns
  /** Of batches, chunks, and partitions that go. */
  readonly pacing?: Pacing
  /** The server's clock as it was read before, so that several plans mean the same moment: microseconds since the epoch. */
  readonly now?: string
}

/** Those that a plan depends on. */
export type PlanOptions = Pick<EngineOptions, 'journalSchema' | 'diskFree' | 'accept'>
