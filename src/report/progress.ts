import { showBytes, showCount, showDuration } from '../text/units.ts'
import { oneLine } from '../text/comment.ts'
import type { Emit, Emitted, LockTimes, Progress } from '../events.ts'
import { showElapsed } from '../text/elapsed.ts'
import { describePauses } from './pauses.ts'
import type { Output } from './output.ts'

/**
 * Reports progress to a person. On a terminal the last line shows progress and
 * the current reason for waiting, and is overwritten as they change; in a log,
 * each change is a line.
 */
export function progressPrinter(output: Output): ProgressPrinter {
  const printer = output.isTTY ? new Terminal(output) : new Log(output)
  return { observer: (event) => tell(event, printer), end: () => printer.end() }
}

export interface ProgressPrinter {
  readonly observer: Emit
  /** Ends the status line, so that the terminal is on a new line. */
  readonly end: () => void
}

/** Finished lines, and the current status. */
interface Printer {
  line(text: string): void
  waiting(reason: string): void
  progress(progress: Progress): void
  working(phase: string | null, seconds: number): void
  readonly end: () => void
}

function tell(event: Emitted, printer: Printer): void {
  switch (event.type) {
    case 'resumed':
      return printer.line(`resuming run ${event.runId}: ${event.done} of ${event.of} steps are done`)
    case 'step started':
      return printer.line(`step ${event.position + 1} of ${event.of}: ${event.step.title}`)
    case 'step finished':
      return printer.line(`  done in ${showElapsed(event.milliseconds)}${describeLock(event.lock)}`)
    case 'waiting':
      return printer.waiting(event.reason)
    case 'progress':
      return printer.progress(event.progress)
    case 'working':
      return printer.working(event.phase, event.seconds)
    case 'note':
      return printer.line(`  note: ${event.text}`)
    case 'paced':
      return event.pace.pausedMs === 0 ? undefined : printer.line(`  ${describePauses(event.pace)}`)
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

function percent(done: number, total: number): number {
  return total === 0 ? 0 : Math.floor((100 * done) / total)
}

/** Maintains a status line below the finished lines. */
class Terminal implements Printer {
  private readonly output: Output
  private shown = false

  constructor(output: Output) {
    this.output = output
  }

  line(text: string): void {
    this.end()
    this.output.write(`${oneLine(text)}\n`)
  }

  waiting(reason: string): void {
    this.show(`  waiting: ${reason}`)
  }

  progress(progress: Progress): void {
    this.show(`  ${describeProgress(progress)}`)
  }

  working(phase: string | null, seconds: number): void {
    this.show(`  ${describeWork(phase, seconds)}`)
  }

  // A wrapped line could not be overwritten.
  private show(text: string): void {
    const fits = [...oneLine(text)].slice(0, this.output.columns - 1).join('')
    this.output.write(`\r\x1b[2K${fits}`)
    this.shown = true
  }

  end(): void {
    if (this.shown) this.output.write('\r\x1b[2K')
    this.shown = false
  }
}

/** In a log every tenth of the work is a line; a changed duration alone is not. */
const LOG_EVERY_PERCENT = 10
/** Work without progress figures is a line after this time, and whenever the time has doubled. */
const LOG_WORK_FROM_SECONDS = 10

class Log implements Printer {
  private readonly output: Output
  private lastReason = ''
  private lastProgress = ''
  private nextWorking = LOG_WORK_FROM_SECONDS

  constructor(output: Output) {
    this.output = output
  }

  line(text: string): void {
    this.output.write(`${oneLine(text)}\n`)
    this.lastReason = ''
    this.lastProgress = ''
    this.nextWorking = LOG_WORK_FROM_SECONDS
  }

  working(phase: string | null, seconds: number): void {
    if (seconds < this.nextWorking) return
    this.nextWorking = seconds * 2
    this.output.write(`  ${oneLine(describeWork(phase, seconds))}\n`)
  }

  waiting(reason: string): void {
    const sameButForFigures = reason.replace(/\b\d+(?= s\b)|(?<=attempt )\d+/g, '#')
    if (sameButForFigures === this.lastReason) return
    this.lastReason = sameButForFigures
    this.output.write(`  waiting: ${oneLine(reason)}\n`)
  }

  progress(progress: Progress): void {
    const tenth = `${progress.what.replace(/\d[\d,.]*/g, '#')} ${Math.floor(percent(progress.done, progress.total) / LOG_EVERY_PERCENT)}`
    if (tenth === this.lastProgress) return
    this.lastProgress = tenth
    this.output.write(`  ${oneLine(describeProgress(progress))}\n`)
  }

  end(): void {}
}
