import { oneLine } from '../text/comment.ts'
import { cutToWidth } from '../text/width.ts'
import type { Emit, Emitted } from '../events.ts'
import { describeEvent } from './event-text.ts'
import { News } from './news.ts'
import type { Output } from './output.ts'

/**
 * Reports progress to a person. On a terminal that is `live` the last line shows how far the work is and the current reason for
 * waiting, and is overwritten as they change; elsewhere each change is a line.
 */
export function progressPrinter(output: Output, live: boolean, now = () => performance.now()): ProgressPrinter {
  const printer = live ? new Terminal(output, now) : new Log(output)
  return { observer: (event) => tell(event, printer), end: () => printer.end() }
}

export interface ProgressPrinter {
  readonly observer: Emit
  /** Ends the status line, so that the terminal is on a new line. */
  readonly end: () => void
}

interface Printer {
  /** `text` is the event in words; null where there are none. */
  print(event: Emitted, text: string | null): void
  end(): void
}

function tell(event: Emitted, printer: Printer): void {
  const text = describeEvent(event)
  printer.print(event, text === null ? null : oneLine(text))
}

function lineOf({ type }: Emitted, text: string): string {
  return type === 'resumed' || type === 'step started' ? text : `  ${text}`
}

/** A reason is shown for as long, even if batches are short and pauses are shorter. */
const REASON_STAYS_MS = 1_000

/** Maintains a status line below the finished lines: why it waits, if it does, and how far the work is. */
class Terminal implements Printer {
  private readonly output: Output
  private readonly now: () => number
  private shown = false
  private work: string | null = null
  private reason: { readonly text: string; readonly since: number } | null = null

  constructor(output: Output, now: () => number) {
    this.output = output
    this.now = now
  }

  print(event: Emitted, text: string | null): void {
    switch (event.type) {
      case 'waiting':
        return this.waits(text)
      case 'pacing':
        return event.reason === null ? this.goesOn() : this.waits(`waiting: ${oneLine(event.reason)}`)
      case 'progress':
      case 'working':
        this.work = text
        return this.goesOn()
      case 'resumed':
      case 'step started':
      case 'step finished':
      case 'note':
      case 'paced':
        if (text !== null) this.lasting(lineOf(event, text))
    }
  }

  end(): void {
    if (this.shown) this.output.write(CLEAR)
    this.shown = false
  }

  private waits(text: string | null): void {
    this.reason = text === null ? null : { text, since: this.now() }
    this.show()
  }

  private goesOn(): void {
    if (this.reason !== null && this.now() - this.reason.since >= REASON_STAYS_MS) this.reason = null
    this.show()
  }

  private lasting(line: string): void {
    this.end()
    this.work = null
    this.reason = null
    this.output.write(`${line}\n`)
  }

  // A wrapped line could not be overwritten.
  private show(): void {
    const parts = [this.reason?.text ?? null, this.work].filter((part) => part !== null)
    if (parts.length === 0) return
    this.output.write(`${CLEAR}${cutToWidth(`  ${parts.join('; ')}`, this.output.columns - 1)}`)
    this.shown = true
  }
}

const CLEAR = '\r\x1b[2K'

class Log implements Printer {
  private readonly output: Output
  private readonly news = new News()

  constructor(output: Output) {
    this.output = output
  }

  print(event: Emitted, text: string | null): void {
    if (text !== null && this.news.isNews(event)) this.output.write(`${lineOf(event, text)}\n`)
  }

  end(): void {}
}
