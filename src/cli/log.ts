import type { Event } from '../events.ts'
import { errorText, type ToldError } from '../report/error-text.ts'
import { eventForPrograms } from '../report/event-for-programs.ts'
import { toJson } from '../report/json.ts'
import type { Context } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'

/** What goes to standard error: lines for people, or for a collector of logs. */
export interface Log {
  /** In JSON; null where events are progress on a terminal or in a file. */
  readonly event: ((event: Event, text: string) => void) | null
  say(text: string): void
  warn(text: string): void
  error(told: ToldError, exitCode: ExitCode): void
  /** A collector does not see the exit code. */
  ended(exitCode: ExitCode, milliseconds: number): void
}

/** As `--log-format` says, or its variable; errors in other options are in that format, too. */
export function logOf(args: readonly string[], { err, env }: Context): Log {
  return isJson(args, env) ? toCollector(err, args) : toPeople(err)
}

function isJson(args: readonly string[], env: Context['env']): boolean {
  const typed = args.flatMap((word, i) =>
    word === '--log-format'
      ? [args[i + 1]]
      : word.startsWith('--log-format=')
        ? [word.slice(word.indexOf('=') + 1)]
        : [],
  )
  return (typed.at(-1) ?? env.EBB_LOG_FORMAT) === 'json'
}

/** The command that is typed, if any. */
export function commandOf(args: readonly string[]): string | undefined {
  return args.find((word) => !word.startsWith('-'))
}

function toPeople(err: Context['err']): Log {
  return {
    event: null,
    say: (text) => err.write(`${text}\n`),
    warn: (text) => err.write(`warning: ${text}\n`),
    error: (told) => err.write(errorText(told)),
    ended: () => {},
  }
}

type Level = 'info' | 'warn' | 'error'

/** One object per line, with the names that most collectors look for. */
function toCollector(err: Context['err'], args: readonly string[]): Log {
  const command = commandOf(args) ?? null
  const line = (level: Level, msg: string, more: object = {}) => {
    err.write(`${toJson({ time: new Date(), level, msg, command, ...more })}\n`)
  }
  return {
    event: (event, text) => line(event.type === 'note' ? 'warn' : 'info', text, eventForPrograms(event)),
    say: (text) => line('info', text),
    warn: (text) => line('warn', text),
    error: ({ message, ...told }, exitCode) => line('error', message, { type: 'error', ...told, exitCode }),
    ended: (exitCode, milliseconds) =>
      line(levelOf(exitCode), `ended with ${exitCode}`, {
        type: 'ended',
        exitCode,
        milliseconds: Math.round(milliseconds),
      }),
  }
}

function levelOf(exitCode: ExitCode): Level {
  if (exitCode === EXIT.done) return 'info'
  return exitCode === EXIT.tryLater || exitCode === EXIT.stopped ? 'warn' : 'error'
}
