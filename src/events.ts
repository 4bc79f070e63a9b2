import type { PaceSummary } from './pacing/summary.ts'
import type { Step } from './plan/language/step.ts'

/** What happens in a run, as it happens. The command line prints it; a program may log it, or ignore it. */
export type Event =
  | { readonly type: 'resumed'; readonly runId: string; readonly done: number; readonly of: number }
  | { readonly type: 'step started'; readonly step: Step; readonly position: number; readonly of: number }
  | {
      readonly type: 'step finished'
      readonly step: Step
      readonly milliseconds: number
      readonly lock: LockTimes | null
    }
  | { readonly type: 'waiting'; readonly reason: string }
  | { readonly type: 'progress'; readonly progress: Progress }
  /** A long statement of which PostgreSQL does not tell how far it has come; `seconds` since its step began. */
  | { readonly type: 'working'; readonly phase: string | null; readonly seconds: number }
  | { readonly type: 'note'; readonly text: string }
  /** A step that paces itself has come to its end, or was stopped. */
  | { readonly type: 'paced'; readonly pace: PaceSummary }

export type Observer = (event: Event) => void

/** How far a long statement has come. */
export interface Progress {
  readonly what: string
  readonly done: number
  readonly total: number
  readonly unit: string
  readonly perSecond: number
  /** Where the unit is another. */
  readonly rowsPerSecond?: number
  /** Null while there is too little to go by. */
  readonly remainingSeconds: number | null
}

/** What taking locks has cost everybody else. */
export interface LockTimes {
  readonly attempts: number
  /** From having all locks to letting them go, in the attempt that succeeded. */
  readonly heldMs: number
  /** From asking for the first lock that blocks to letting all go, in the longest attempt: nobody can have waited longer because of us. */
  readonly longestWaitCausedMs: number
}
