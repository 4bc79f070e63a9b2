import type { PaceSummary } from '../pacing/summary.ts'
import { showBytes, showCount } from '../text/units.ts'
import { showElapsed } from '../text/elapsed.ts'

/** `paused for 12 s: replica lag 11 s, other runs 1.0 s`. */
export function describePauses({ pausedMs, pausedMsBy }: PaceSummary): string {
  return `paused for ${showElapsed(pausedMs)}: ${reasons(pausedMsBy)}`
}

/** How a run has got on with others, as pairs of a word and a figure. */
export function paceFigures(pace: PaceSummary): [word: string, figure: string][] {
  const { pausedMs, pausedMsBy, waitsSeen, longestWaitSeenMs, maxReplicaLagBytes: lag } = pace
  const waits = `${showCount(waitsSeen)}, the longest ${showElapsed(longestWaitSeenMs)}`
  return [
    ['pauses', pausedMs === 0 ? 'none' : `${showElapsed(pausedMs)} (${reasons(pausedMsBy)})`],
    ['waits for our locks that were seen', waitsSeen === 0 ? 'none' : waits],
    ...(lag === null
      ? []
      : [['replicas behind, at most', showLag(lag, pace.maxReplicaLagSeconds)] as [string, string]]),
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
