import type { Emitted, Progress } from '../events.ts'
import { percent } from './event-text.ts'

/** Every tenth of the work is news; a changed duration alone is not. */
const EVERY_PERCENT = 10
/** Work without progress figures is news after this time, and whenever the time has doubled. */
const WORKING_FROM_SECONDS = 10

/** Tells which events are worth a line in a log, where nothing is overwritten. */
export class News {
  private lastReason = ''
  private lastProgress = ''
  private nextWorking = WORKING_FROM_SECONDS

  isNews(event: Emitted): boolean {
    switch (event.type) {
      case 'pacing':
        return false
      case 'waiting':
        return this.isReason(event.reason)
      case 'progress':
        return this.isProgress(event.progress)
      case 'working':
        return this.isWorking(event.seconds)
      case 'resumed':
      case 'step started':
      case 'step finished':
      case 'note':
      case 'paced':
        return this.begin()
    }
  }

  /** After another line everything is news again. */
  private begin(): true {
    this.lastReason = ''
    this.lastProgress = ''
    this.nextWorking = WORKING_FROM_SECONDS
    return true
  }

  private isReason(reason: string): boolean {
    const sameButForFigures = reason.replace(/\b\d+(?= s\b)|(?<=attempt )\d+/g, '#')
    if (sameButForFigures === this.lastReason) return false
    this.lastReason = sameButForFigures
    return true
  }

  private isProgress({ what, done, total }: Progress): boolean {
    const tenth = `${what.replace(/\d[\d,.]*/g, '#')} ${Math.floor(percent(done, total) / EVERY_PERCENT)}`
    if (tenth === this.lastProgress) return false
    this.lastProgress = tenth
    return true
  }

  private isWorking(seconds: number): boolean {
    if (seconds < this.nextWorking) return false
    this.nextWorking = seconds * 2
    return true
  }
}
