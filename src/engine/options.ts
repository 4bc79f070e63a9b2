import type { Interval } from '../grid/interval.ts'
import type { Pacing } from '../pacing/limits.ts'
import type { Observer } from '../events.ts'
import type { SavedPlan } from '../plan/language/saved.ts'
import type { LockLimits } from './locks/short-locks.ts'
import type { CopySizes } from './copy/sizes.ts'
import type { Address } from '../db/session.ts'
import type { Turns } from './purge/turns.ts'

/** The options of every command besides its request. */
export interface EngineOptions {
  /** Free disk space for a copy, in bytes, if known: PostgreSQL does not report it. */
  readonly diskFree?: number
  readonly journalSchema: string
  /** Codes of accepted objections to the table. */
  readonly accept?: readonly string[]
  readonly observer: Observer
  readonly signal: AbortSignal
  readonly lockLimits?: LockLimits
  /** How long another run on the same table is waited for; without it, this one is refused. */
  readonly waitMs?: number
  readonly copySizes?: CopySizes
  /** Paces the batches of a purge; by default the pace of the run. */
  readonly turns?: Turns
  /** Of age, to read encrypted archives; never stored. */
  readonly identities?: readonly string[]
  /** The server that partitions are moved to, as Ebb reaches it; never stored. */
  readonly toUrl?: Address
  /** How long what the journal says of the table is kept, if longer than usual. */
  readonly keepJournal?: Interval
  /** The pacing of batches, chunks, and partitions to retire. */
  readonly pacing?: Pacing
  /** The server's clock, read before, so that several plans use the same moment: microseconds since the epoch. */
  readonly now?: string
  /** Part of the names of what a run creates, where it has been chosen before. */
  readonly suffix?: string
  /**
   * Nothing of what is planned is carried out: the journal is looked at, and not trusted, and privileges that carrying it out
   * would take are not asked for (onlooker.ts).
   */
  readonly onlyLooks?: boolean
  /** What is planned has to be this. */
  readonly saved?: SavedPlan
}

/** The options a plan depends on. */
export type PlanOptions = Pick<EngineOptions, 'journalSchema' | 'diskFree' | 'accept' | 'suffix' | 'onlyLooks'>
