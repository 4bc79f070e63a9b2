import type { BlockedSession, Reading, Signal } from './reading.ts'

/** Why a run paused: a signal, or the run itself. */
export type PauseReason =
  Signal | 'pause file' | 'fixed pause' | 'slow batches' | 'slow commits' | 'other runs' | 'no reading'

/** The pacing of a run, for the final report. */
export interface PaceSummary {
  /** Batches, chunks or partitions that were started. */
  readonly turns: number
  readonly pausedMs: number
  readonly pausedMsBy: Readonly<Partial<Record<PauseReason, number>>>
  /** Null if not visible. */
  readonly maxReplicaLagBytes: number | null
  readonly maxReplicaLagSeconds: number | null
  readonly maxSlotWalBytes: number | null
  readonly maxActive: number | null
  /** By the whole server, all sessions included. */
  readonly walBytes: number | null
  /** Waits of others for our locks, as far as readings have seen them. */
  readonly waitsSeen: number
  readonly longestWaitSeenMs: number
  readonly missing: Reading['missing']
}

/** Counts them. */
export class Tally {
  private turns = 0
  private readonly paused = new Map<PauseReason, number>()
  private first: Reading | null = null
  private last: Reading | null = null
  private lagBytes: number | null = null
  private lagSeconds: number | null = null
  private slotBytes: number | null = null
  private active: number | null = null
  private waitsSeen = 0
  private longestWaitSeenMs = 0

  turn(): void {
    this.turns++
  }

  pause(reason: PauseReason, milliseconds: number): void {
    this.paused.set(reason, (this.paused.get(reason) ?? 0) + milliseconds)
  }

  reading(reading: Reading): void {
    const before = this.last?.blocked ?? []
    for (const wait of reading.blocked ?? []) {
      if (!before.some((one) => isSameWait(one, wait))) this.waitsSeen++
      this.longestWaitSeenMs = Math.max(this.longestWaitSeenMs, wait.milliseconds)
    }
    this.lagBytes = larger(this.lagBytes, reading.replica?.bytes)
    this.lagSeconds = larger(this.lagSeconds, reading.replica?.seconds)
    this.slotBytes = larger(this.slotBytes, reading.slot?.bytes)
    this.active = larger(this.active, reading.active)
    this.first ??= reading
    this.last = reading
  }

  summary(): PaceSummary {
    const from = this.first?.walPosition ?? null
    const to = this.last?.walPosition ?? null
    return {
      turns: this.turns,
      pausedMs: [...this.paused.values()].reduce((sum, ms) => sum + ms, 0),
      pausedMsBy: Object.fromEntries(this.paused),
      maxReplicaLagBytes: this.lagBytes,
      maxReplicaLagSeconds: this.lagSeconds,
      maxSlotWalBytes: this.slotBytes,
      maxActive: this.active,
      walBytes: from === null || to === null ? null : to - from,
      waitsSeen: this.waitsSeen,
      longestWaitSeenMs: this.longestWaitSeenMs,
      missing: this.last?.missing ?? {},
    }
  }
}

/** A wait that has only just begun may have no start yet. */
export function isSameWait(before: BlockedSession, { pid, since }: BlockedSession): boolean {
  return before.pid === pid && (before.since === since || before.since === '')
}

/** The larger of what is known. */
export function larger(a: number | null, b: number | null | undefined): number | null {
  if (a === null || b === null || b === undefined) return a ?? b ?? null
  return Math.max(a, b)
}
