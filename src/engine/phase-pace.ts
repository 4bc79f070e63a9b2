import type { Progress } from '../events.ts'

/** A running statement, and its progress as reported by PostgreSQL. */
export interface Activity {
  /** Since the statement began. */
  readonly seconds: number
  readonly phase: string | null
  readonly done: number | null
  readonly total: number | null
  readonly unit: string
}

/** Before that, the rest cannot be estimated from the little that is done. */
const TELLING_SECONDS = 2

/**
 * The rate of the current phase of a statement. Each phase is measured separately: the second phase of a vacuum is
 * not slow because the first took long.
 */
export class PhasePace {
  private last: Activity | null = null
  /** The progress of the phase when first seen. */
  private from = { seconds: 0, done: 0 }

  /** Undefined if PostgreSQL does not report the progress. */
  progress(activity: Activity): Progress | undefined {
    const { seconds, phase, done, total, unit } = activity
    const before = this.last
    this.last = activity
    const anew = before === null || seconds < before.seconds
    if (anew) this.from = { seconds: 0, done: 0 }
    else if (phase !== before.phase) this.from = { seconds, done: done ?? 0 }
    if (phase === null || done === null || total === null || total === 0) return undefined
    const took = seconds - this.from.seconds
    const perSecond = took > 0 ? (done - this.from.done) / took : 0
    const remainingSeconds = perSecond > 0 && took > TELLING_SECONDS ? (total - done) / perSecond : null
    return { what: phase, done, total, unit, perSecond, remainingSeconds }
  }
}
