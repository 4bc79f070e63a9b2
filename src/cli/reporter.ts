import type { Event, Observer } from '../events.ts'
import { toJson } from '../report/json.ts'
import { progressPrinter } from '../report/progress.ts'
import { harmless } from '../text/comment.ts'
import type { Context } from './context.ts'

/** Output for a person, or JSON for a program. */
export interface Reporter {
  readonly observer: Observer
  /** A result: for a program under its name, for a person as text. */
  show(name: string, value: unknown, text: () => string): void
  /** Nothing more will happen. */
  end(): void
}

export function reporterFor({ out, err }: Context, json: boolean): Reporter {
  return json ? toProgram(out) : toPerson(out, err)
}

function toPerson(out: Context['out'], err: Context['err']): Reporter {
  const { observer, end } = progressPrinter(err)
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

/** Every line on stdout is one object with its `type`; the last one is the result, or the error. */
function toProgram(out: Context['out']): Reporter {
  const line = (value: unknown) => out.write(`${toJson(value)}\n`)
  return {
    observer: (event) => line({ ...eventForPrograms(event), at: new Date() }),
    show: (name, value) => line({ type: name, [name]: value }),
    end: () => {},
  }
}

// The step of a swap has the whole model of the table, twice.
function eventForPrograms(event: Event): object {
  if (!('step' in event)) return event
  const { key, kind, title, locks } = event.step
  return { ...event, step: { key, kind, title, locks } }
}
