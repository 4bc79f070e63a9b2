import type { ChangedIntervals, PaceInterval } from '../journal/pace-intervals.ts'
import type { Reading } from './reading.ts'
import { isSameWait, larger, type PauseReason } from './summary.ts'

/** Of one run, however long it is. */
const MOST_INTERVALS = 120
const LEAST_MICROS = 5_000_000n

/**
 * The history of a run's pace, in a bounded number of intervals: once there are too many, each two neighbours become one,
 * and new ones are as long as those.
 */
export class History {
  private intervals: PaceInterval[]
  private isOpen = false
  /** The first interval that the journal has not, or has otherwise. */
  private changed: number
  private last: Reading | null = null

  /** @param before what the journal has of the run: it is resumed, or has been paced in an earlier step */
  constructor(before: readonly PaceInterval[] = []) {
    this.intervals = [...before]
    this.changed = before.length
  }

  turn(): void {
    this.add({ turns: 1 })
  }

  pause(reason: PauseReason, milliseconds: number): void {
    this.add({ pausedMs: { [reason]: milliseconds } })
  }

  reading(reading: Reading): void {
    const { at, blocked, replica } = reading
    const before = this.last?.blocked ?? []
    this.last = reading
    this.reach(at)
    this.add({
      lagBytes: replica?.bytes ?? null,
      lagSeconds: replica?.seconds ?? null,
      waits: blocked?.filter((wait) => !before.some((one) => isSameWait(one, wait))).length ?? null,
      longestWaitMs: blocked?.reduce((most, { milliseconds }) => Math.max(most, milliseconds), 0) ?? null,
    })
  }

  /** What has changed since it was asked for last, up to a moment by the server's clock. */
  changes(at: bigint): ChangedIntervals {
    this.reach(at)
    const first = Math.min(this.changed, Math.max(0, this.intervals.length - 1))
    // The last one is still growing.
    this.changed = Math.max(0, this.intervals.length - 1)
    return { first, intervals: this.intervals.slice(first) }
  }

  /** Changes that could not be recorded are so again. */
  notRecorded({ first }: ChangedIntervals): void {
    this.changed = Math.min(this.changed, first)
  }

  /** Makes the present interval longer; once it is long enough, another one begins. */
  private reach(at: bigint): void {
    const open = this.isOpen ? this.intervals.at(-1) : undefined
    if (open !== undefined && at > open.to) this.replaceLast({ ...open, to: at })
    if (open === undefined || at - open.from >= this.width()) this.begin(at)
  }

  private begin(at: bigint): void {
    if (this.intervals.length >= MOST_INTERVALS) {
      this.intervals = joined(this.intervals)
      this.changed = 0
    }
    this.intervals.push({ ...NOTHING, from: at, to: at })
    this.isOpen = true
  }

  /** Before the first reading there is nothing to add to. */
  private add(more: Partial<PaceInterval>): void {
    const open = this.isOpen ? this.intervals.at(-1) : undefined
    if (open !== undefined) this.replaceLast(sum(open, { ...NOTHING, from: open.to, to: open.to, ...more }))
  }

  private replaceLast(interval: PaceInterval): void {
    this.intervals[this.intervals.length - 1] = interval
  }

  /** So that the time for which the run was paced fills half of the intervals at least. */
  private width(): bigint {
    const micros = this.intervals.reduce((total, { from, to }) => total + (to - from), 0n)
    const width = (2n * micros) / BigInt(MOST_INTERVALS)
    return width > LEAST_MICROS ? width : LEAST_MICROS
  }
}

const NOTHING = { turns: 0, pausedMs: {}, lagBytes: null, lagSeconds: null, waits: null, longestWaitMs: null }

/** Each two neighbours as one. */
export function joined(intervals: readonly PaceInterval[]): PaceInterval[] {
  return intervals.flatMap((one, i) => {
    if (i % 2 === 1) return []
    const other = intervals[i + 1]
    return [other === undefined ? one : sum(one, other)]
  })
}

function sum(a: PaceInterval, b: PaceInterval): PaceInterval {
  const pausedMs: Record<string, number> = { ...a.pausedMs }
  for (const [reason, ms] of Object.entries(b.pausedMs)) pausedMs[reason] = (pausedMs[reason] ?? 0) + ms
  return {
    from: a.from,
    to: b.to,
    turns: a.turns + b.turns,
    pausedMs,
    lagBytes: larger(a.lagBytes, b.lagBytes),
    lagSeconds: larger(a.lagSeconds, b.lagSeconds),
    waits: a.waits === null || b.waits === null ? (a.waits ?? b.waits) : a.waits + b.waits,
    longestWaitMs: larger(a.longestWaitMs, b.longestWaitMs),
  }
}
