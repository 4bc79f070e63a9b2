import type { PaceSummary } from '../pacing/summary.ts'
import { showBytes, showCount } from '../plan/units.ts'
import { showElapsed } from './elapsed.ts'

/** How the pace has been, for a person: batches, pauses by reason, what others have felt of it. */
export function describePace(pace: PaceSummary): string[] {
  const { batches, slowestMs, workedMs, waitsSeen, longestWaitSeenMs } = pace
  const mean = batches === 0 ? 0 : workedMs / batches
  const lines = [
    `${showCount(batches)} batches, ${showElapsed(mean)} each, the slowest ${showElapsed(slowestMs)}`,
    describePauses(pace),
    waitsSeen === 0
      ? 'no session was seen waiting for us'
      : `${showCount(waitsSeen)} waits for our locks were seen, the longest ${showElapsed(longestWaitSeenMs)}`,
  ]
  if (pace.walBytes !== null) lines.push(`the server wrote ${showBytes(pace.walBytes)} of WAL meanwhile`)
  if (pace.maxReplicaLagBytes !== null) lines.push(describeLag(pace.maxReplicaLagBytes, pace.maxReplicaLagSeconds))
  return lines
}

/** `paused for 12 s: replica lag 11 s, other runs 1.0 s`. */
export function describePauses({ pausedMs, pausedMsBy }: PaceSummary): string {
  const parts = Object.entries(pausedMsBy).sort(([, a], [, b]) => b - a)
  if (parts.length === 0) return 'no pauses'
  return `paused for ${showElapsed(pausedMs)}: ${parts.map(([reason, ms]) => `${reason} ${showElapsed(ms)}`).join(', ')}`
}

function describeLag(bytes: number, seconds: number | null): string {
  const time = seconds === null ? '' : `, ${seconds.toFixed(1)} s`
  return `a replica was at most ${showBytes(bytes)}${time} behind`
}
