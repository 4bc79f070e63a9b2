import type { Observer } from '../events.ts'
import { eventForPrograms } from '../report/event-for-programs.ts'
import { describeEvent } from '../report/event-text.ts'
import { toJson } from '../report/json.ts'
import { News } from '../report/news.ts'
import { progressPrinter, type ProgressPrinter } from '../report/progress.ts'
import { harmless } from '../text/comment.ts'
import type { Context } from './context.ts'
import type { Log } from './log.ts'

/** Output for a person, or JSON for a program. */
export interface Reporter {
  readonly observer: Observer
  /** A result: for a program under its name, for a person as text. */
  show(name: string, value: unknown, text: () => string): void
  /** Nothing more will happen. */
  end(): void
}

export function reporterFor(context: Context, json: boolean, log: Log): Reporter {
  const { out, err } = context
  if (json) return toProgram(out)
  return toPerson(out, log.event === null ? progressPrinter(err, isLive(context)) : logged(log.event))
}

/** Whether a line on standard error can be overwritten, and somebody is there to see it. No colours are used anyway. */
function isLive({ err, env }: Context): boolean {
  const isInCi = Boolean(env.CI) && env.CI !== 'false'
  return err.isTTY && env.TERM !== 'dumb' && !isInCi
}

function toPerson(out: Context['out'], { observer, end }: Progress): Reporter {
  return {
    observer,
    show: (_name, _value, text) => {
      end()
      // Into a file a plan goes as the SQL it is.
      out.write(out.isTTY ? harmless(text()) : text())
    },
    end,
  }
}

type Progress = Pick<ProgressPrinter, 'end'> & Pick<Reporter, 'observer'>

/** What would be a line in a log, with the figures it is made of. */
function logged(log: NonNullable<Log['event']>): Progress {
  const news = new News()
  return {
    observer: (event) => {
      const text = describeEvent(event)
      if (text !== null && news.isNews(event)) log(event, text)
    },
    end: () => {},
  }
}

/** Every line on stdout is one object with its `type`; the last one is the result, or the error. */
function toProgram(out: Context['out']): Reporter {
  const line = (value: unknown) => out.write(`${toJson(value)}\n`)
  return {
    // The pace so far is for those who show it; how it was is told at the end.
    observer: (event) => {
      if (event.type !== 'pacing') line({ ...eventForPrograms(event), at: new Date() })
    },
    show: (name, value) => line({ type: name, [name]: value }),
    end: () => {},
  }
}
