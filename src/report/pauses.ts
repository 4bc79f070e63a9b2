import type { PaceSummary } from '../pacing/summary.ts'
import { showBytes, showCount } from '../text/units.ts'
import { showElapsed } from '../text/elapsed.ts'

/** `paused for 12 s: replica lag 11 s, other runs 1.0 s`. */
export function describePauses({ pausedMs, pausedMsBy }: PaceSummary): string {
  return `paused for ${showElapsed(pausedMs)}: ${reasons(pausedMsBy)}`
}

/** A run's pauses and its impact on other sessions, as label and figure. */
export function paceFigures(pace: PaceSummary): [word: string, figure: string][] {
  const { pausedMs, pausedMsBy, waitsSeen, longestWaitSeenMs, maxReplicaLagBytes: lag } = pace
  const waits = `${showCount(waitsSeen)}, the longest ${showElapsed(longestWaitSeenMs)}`
  return [
    ['pauses', pausedMs === 0 ? 'none' : `${showElapsed(pausedMs)} (${reasons(pausedMsBy)})`],
    ['waits for its locks', waitsSeen === 0 ? 'none seen' : waits],
    ...(lag === null ? [] : [['maximum replica lag', showLag(lag, pace.maxReplicaLagSeconds)] as [string, string]]),
  ]
}

function reasons(pausedMsBy: PaceSummary['pausedMsBy']): string {
  return Object.entries(pausedMsBy)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, ms]) => `${reason} ${showElapsed(ms)}`)
    .join(', ')
}

function showLag(bytes: number, seconds: number | null): string {
  return `${showBytes(bytes)}${seconds === null ? '' : `, ${seconds.toFixed(1)} s`}`
}
