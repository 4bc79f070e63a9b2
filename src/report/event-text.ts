import { showBytes, showCount, showDuration } from '../text/units.ts'
import type { Emitted, LockTimes, Progress } from '../events.ts'
import { showElapsed } from '../text/elapsed.ts'
import { describePauses } from './pauses.ts'

/** An event in words; null where there is nothing to say of it. */
export function describeEvent(event: Emitted): string | null {
  switch (event.type) {
    case 'resumed':
      return `resuming run ${event.runId}: ${event.done} of ${event.of} steps are done`
    case 'step started':
      return `step ${event.position + 1} of ${event.of}: ${event.step.title}`
    case 'step finished':
      return `done in ${showElapsed(event.milliseconds)}${describeLock(event.lock)}`
    case 'waiting':
      return `waiting: ${event.reason}`
    case 'progress':
      return describeProgress(event.progress)
    case 'working':
      return describeWork(event.phase, event.seconds)
    case 'note':
      return `note: ${event.text}`
    case 'pacing':
      return null
    case 'paced':
      return event.pace.pausedMs === 0 ? null : describePauses(event.pace)
  }
}

/** `; locked 12 ms, maximum blocking time 14 ms`. */
function describeLock(lock: LockTimes | null): string {
  if (lock === null) return ''
  const attempts = lock.attempts === 1 ? '' : ` at attempt ${lock.attempts}`
  return `; locked ${showElapsed(lock.heldMs)}${attempts}, maximum blocking time ${showElapsed(lock.longestWaitCausedMs)}`
}

/**
 * `building index: scanning table: 45 %, 5 s left (450 of 1,000 blocks, 12 MB/s)`: what matters
 * most comes first, for a narrow terminal shows the beginning.
 */
function describeProgress(progress: Progress): string {
  const { what, done, total, unit, perSecond, rowsPerSecond = 0, remainingSeconds } = progress
  if (unit === 'changes') return describeCatchingUp(progress)
  const pace = unit === 'blocks' ? `${showBytes(perSecond * BLOCK_BYTES)}/s` : `${showCount(perSecond)}/s`
  const figures = [
    `${showCount(done)} of ${showCount(total)} ${unit}`,
    ...(perSecond === 0 ? [] : [pace]),
    ...(rowsPerSecond === 0 ? [] : [`${showCount(rowsPerSecond)} rows/s`]),
  ]
  const left = remainingSeconds === null || done >= total ? '' : `, ${showDuration(remainingSeconds)} left`
  return `${what}: ${percent(done, total)} %${left} (${figures.join(', ')})`
}

/** `vacuuming indexes: running for 12 s`. */
function describeWork(phase: string | null, seconds: number): string {
  return `${phase === null ? '' : `${phase}: `}running for ${showElapsed(seconds * 1000)}`
}

/** The default block size. */
const BLOCK_BYTES = 8192

/** New changes are captured while others are applied, so a percentage would mean nothing: the rates are compared. */
function describeCatchingUp({ what, done, total, perSecond, remainingSeconds }: Progress): string {
  return `${what}, ${showCount(perSecond)}/s applied; backlog ${showCount(total - done)}, ${outlook(remainingSeconds)}`
}

function outlook(remainingSeconds: number | null): string {
  if (remainingSeconds === null) return 'at this rate the backlog will not shrink enough to swap'
  return remainingSeconds === 0 ? 'swap possible' : `swap possible in about ${showElapsed(remainingSeconds * 1000)}`
}

export function percent(done: number, total: number): number {
  return total === 0 ? 0 : Math.floor((100 * done) / total)
}
