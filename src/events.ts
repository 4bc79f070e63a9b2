import type { PaceSummary } from './pacing/summary.ts'
import type { TableName } from './sql/names.ts'
import type { Step } from './plan/language/step.ts'

/** An event of a run. */
export type Happening =
  | { readonly type: 'resumed'; readonly done: number; readonly of: number }
  | { readonly type: 'step started'; readonly step: Step; readonly position: number; readonly of: number }
  | {
      readonly type: 'step finished'
      readonly step: Step
      readonly milliseconds: number
      readonly lock: LockTimes | null
    }
  | { readonly type: 'waiting'; readonly reason: string }
  | { readonly type: 'progress'; readonly progress: Progress }
  /** A long statement without progress reporting in PostgreSQL; `seconds` since its step started. */
  | { readonly type: 'working'; readonly phase: string | null; readonly seconds: number }
  | { readonly type: 'note'; readonly text: string }
  /** The pace so far, about once a second: how much was paused, and why it is pausing now; null where it is not. */
  | { readonly type: 'pacing'; readonly pace: PaceSummary; readonly reason: string | null }
  /** A paced step has ended or was stopped. */
  | { readonly type: 'paced'; readonly pace: PaceSummary }

/** An event with its table and run. The command line prints it; a program may log or ignore it. */
export type Event = Happening & {
  readonly table: TableName
  /** Null without a run: a rotation has none, nor is there one during setup. */
  readonly runId: string | null
}

export type Observer = (event: Event) => void

/** Emits an event; table and run are added by the context. */
export type Emit = (event: Emitted) => void

/** An event without its table, and maybe without its run. */
export type Emitted = Happening & { readonly runId?: string | null }

/** The progress of a long statement. */
export interface Progress {
  readonly what: string
  readonly done: number
  readonly total: number
  readonly unit: string
  readonly perSecond: number
  /** Deleted, kept or stored so far, and their rate, if the unit is another one. */
  readonly rows?: number
  readonly rowsPerSecond?: number
  /** Null while it cannot be estimated. */
  readonly remainingSeconds: number | null
}

/** The effect of locks on other sessions. */
export interface LockTimes {
  readonly attempts: number
  /** From holding all locks to releasing them, in the successful attempt. */
  readonly heldMs: number
  /** From requesting the first blocking lock to releasing all, in the longest attempt: the maximum blocking time. */
  readonly longestWaitCausedMs: number
}
