import type { RotationReport } from '../engine/commands/rotate.ts'
import type { TableOutcome } from '../engine/many-tables.ts'
import { EbbError, type ErrorKind } from '../errors.ts'
import type { ToldError } from '../report/error-text.ts'

/** Few and documented (docs/exit-codes.md). */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  objections: 3,
  stopped: 4,
  bug: 70,
  tryLater: 75,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** How a command has ended. */
export interface End {
  readonly exitCode: ExitCode
  readonly milliseconds: number
  /** Without values of rows; null where no error ended it. */
  readonly error: ToldError | null
}

/** What is done once a command has ended. */
export type Ending = (end: End) => Promise<void>

const OF_KIND: Readonly<Record<ErrorKind | 'bug', ExitCode>> = {
  failed: EXIT.failed,
  usage: EXIT.usage,
  objections: EXIT.objections,
  stopped: EXIT.stopped,
  'try later': EXIT.tryLater,
  bug: EXIT.bug,
}

/** The exit code of an error. */
export function exitCodeOf(kind: ErrorKind | 'bug'): ExitCode {
  return OF_KIND[kind]
}

/** The kind of error that an exit code stands for. */
export function kindOfExitCode(code: ExitCode): ErrorKind | 'bug' | 'done' {
  const kinds = Object.keys(OF_KIND) as (ErrorKind | 'bug')[]
  return kinds.find((kind) => OF_KIND[kind] === code) ?? 'done'
}

/** The exit code of a rotation: of what is worst, after a stop. */
export function exitCodeOfRotation({ sets, retired: retiredTables, stopped }: RotationReport): ExitCode {
  if (stopped) return EXIT.stopped
  const errors = [...sets, retiredTables].flatMap(({ failed }) => failed.map(({ error }) => kindOf(error)))
  const isObjected = sets.some(({ plan }) => plan !== null && plan.objections.length > 0)
  return worstOf(isObjected ? [...errors, 'objections'] : errors)
}

/** The exit code of a command for several tables: of what is worst. A plan that is shown may have objections. */
export function exitCodeOfTables(
  outcomes: readonly TableOutcome<unknown>[],
  isRefused: (outcome: TableOutcome<unknown>) => boolean = ({ outcome }) => outcome === 'refused',
): ExitCode {
  if (outcomes.some(({ outcome }) => outcome === 'stopped' || outcome === 'not begun')) return EXIT.stopped
  return worstOf(
    outcomes.flatMap((one) => (isRefused(one) ? ['objections'] : one.outcome === 'failed' ? [kindOf(one.error)] : [])),
  )
}

type Worse = 'failed' | 'objections' | 'try later'

function worstOf(kinds: readonly Worse[]): ExitCode {
  const worst = (['failed', 'objections', 'try later'] as const).find((kind) => kinds.includes(kind))
  return worst === undefined ? EXIT.done : OF_KIND[worst]
}

function kindOf(error: Error): Worse {
  const kind = error instanceof EbbError ? error.kind : 'failed'
  return kind === 'objections' || kind === 'try later' ? kind : 'failed'
}
