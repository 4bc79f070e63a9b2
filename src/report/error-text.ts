import { EbbError, type ErrorKind } from '../errors.ts'
import { codeOf, isConnectionLost, isLockRefused, mayShowValues, reasonOf, SQLSTATE } from '../db/sqlstate.ts'
import { harmless } from '../text/comment.ts'
import { redact } from '../text/redact.ts'
import { describeSqlError, HIDDEN, isSqlError } from './sql-error.ts'

/** An error for people and programs. It contains no password. */
export interface ToldError {
  readonly message: string
  readonly details: readonly string[]
  readonly state: string
  readonly next: string
  readonly kind: ErrorKind | 'bug'
}

/** What happened, how things stand and what to do next, for any error; `withValues`, those of rows, where PostgreSQL tells them. */
export function tellError(error: unknown, withValues = false): ToldError {
  const { message, details, state, next, kind } = told(error, withValues)
  return { message: redact(message), details: details.map(redact), state: redact(state), next: redact(next), kind }
}

/** The same in lines. */
export function errorText({ message, details, state, next }: ToldError): string {
  const lines = [`error: ${message}`, ...details.map((line) => `       ${line}`), `  now: ${state}`, ` next: ${next}`]
  // Messages of PostgreSQL may have several lines; they are indented deeper than ours.
  return `${lines.map((line) => harmless(line).replaceAll('\n', '\n         ')).join('\n')}\n`
}

function told(error: unknown, withValues: boolean): ToldError {
  if (error instanceof EbbError) return foreseen(error, withValues)
  if (isSqlError(error)) return fromPostgres(error, withValues)
  if (isConnectionLost(error)) return connectionLost(error)
  return unforeseen(error)
}

function foreseen({ message, advice, kind, cause, values }: EbbError, withValues: boolean): ToldError {
  // A requested stop cancels a statement; that needs no report.
  const cancelledByUs = kind === 'stopped' && codeOf(cause) === SQLSTATE.queryCanceled
  const ofServer = isSqlError(cause) && !cancelledByUs ? detailsOf(cause, withValues) : []
  const ofRows = withValues || values.length === 0 ? values : [HIDDEN]
  return { message, details: [...ofServer, ...ofRows], ...advice, kind }
}

/** The message is already in ours, unless it may show values; the details are not. */
function detailsOf(error: Parameters<typeof describeSqlError>[0], withValues: boolean): string[] {
  const [first = '', ...more] = describeSqlError(error, withValues)
  return [withValues && mayShowValues(error) ? first : first.replace(/^(SQLSTATE \w+).*$/s, '$1'), ...more]
}

function fromPostgres(error: Parameters<typeof describeSqlError>[0], withValues: boolean): ToldError {
  const again = isLockRefused(error) || isConnectionLost(error) || codeOf(error) === SQLSTATE.serializationFailure
  return {
    message: `PostgreSQL refused a statement: ${reasonOf(error)}`,
    details: detailsOf(error, withValues),
    state: 'Its transaction has been rolled back; what was committed before is kept.',
    next: again
      ? 'Run the same command again: it resumes where it stopped.'
      : 'Resolve the cause and run the same command again. If the message does not show the cause, please report it.',
    kind: again ? 'try later' : 'failed',
  }
}

function connectionLost(error: unknown): ToldError {
  return {
    message: `the connection was lost: ${reasonOf(error)}`,
    details: [],
    state: 'What was committed is kept; the server has rolled back the open transaction.',
    next: 'Run the same command again: it resumes where it stopped.',
    kind: 'try later',
  }
}

function unforeseen(error: unknown): ToldError {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return {
    message: 'this is a bug, please report it',
    details: stack.split('\n'),
    state: 'Unknown. The journal shows what the run has done so far: ebb status.',
    next: 'Report it with the output above, and check ebb status before resuming.',
    kind: 'bug',
  }
}
