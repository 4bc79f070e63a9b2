import type { PaceSummary } from './pacing/summary.ts'
import type { TableName } from './sql/names.ts'
import type { Step } from './plan/language/step.ts'

/** What happens, as it happens. */
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
  /** A long statement of which PostgreSQL does not tell how far it has come; `seconds` since its step began. */
  | { readonly type: 'working'; readonly phase: string | null; readonly seconds: number }
  | { readonly type: 'note'; readonly text: string }
  /** A step that paces itself has come to its end, or was stopped. */
  | { readonly type: 'paced'; readonly pace: PaceSummary }

/** What happens, with the table and the run where it does. The command line prints it; a program may log it, or ignore it. */
export type Event = Happening & {
  readonly table: TableName
  /** Null where there is no run: a rotation has none, and it is not yet there while a run is being set up. */
  readonly runId: string | null
}

export type Observer = (event: Event) => void

/** Tells what happens; where, whoever has been given it need not know. */
export type Emit = (event: Emitted) => void

/** Before its table is known, and maybe its run. */
export type Emitted = Happening & { readonly runId?: string | null }

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
