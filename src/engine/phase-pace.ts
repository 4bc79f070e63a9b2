import type { Progress } from '../events.ts'

/** A statement under way, and how far it has come as far as PostgreSQL tells. */
export interface Activity {
  /** Since the statement began. */
  readonly seconds: number
  readonly phase: string | null
  readonly done: number | null
  readonly total: number | null
  readonly unit: string
}

/** Before that, what is left cannot be told from the little that is done. */
const TELLING_SECONDS = 2

/**
 * How fast the phase of a statement goes that is under way. Each is measured by
 * itself: the second of a vacuum has not gone slowly because the first took long.
 */
export class PhasePace {
  private last: Activity | null = null
  /** Where the phase was when it was first seen. */
  private from = { seconds: 0, done: 0 }

  /** Undefined where PostgreSQL does not tell how far it has come. */
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
