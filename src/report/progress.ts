import { oneLine } from '../text/comment.ts'
import type { Emit, Emitted } from '../events.ts'
import { describeEvent } from './event-text.ts'
import { News } from './news.ts'
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

interface Printer {
  print(event: Emitted, line: string): void
  end(): void
}

function tell(event: Emitted, printer: Printer): void {
  const text = describeEvent(event)
  if (text === null) return
  const isHeading = event.type === 'resumed' || event.type === 'step started'
  printer.print(event, `${isHeading ? '' : '  '}${oneLine(text)}`)
}

/** Maintains a status line below the finished lines. */
class Terminal implements Printer {
  private readonly output: Output
  private shown = false

  constructor(output: Output) {
    this.output = output
  }

  print({ type }: Emitted, line: string): void {
    if (type === 'waiting' || type === 'progress' || type === 'working') return this.show(line)
    this.end()
    this.output.write(`${line}\n`)
  }

  // A wrapped line could not be overwritten.
  private show(line: string): void {
    const fits = [...line].slice(0, this.output.columns - 1).join('')
    this.output.write(`\r\x1b[2K${fits}`)
    this.shown = true
  }

  end(): void {
    if (this.shown) this.output.write('\r\x1b[2K')
    this.shown = false
  }
}

class Log implements Printer {
  private readonly output: Output
  private readonly news = new News()

  constructor(output: Output) {
    this.output = output
  }

  print(event: Emitted, line: string): void {
    if (this.news.isNews(event)) this.output.write(`${line}\n`)
  }

  end(): void {}
}
