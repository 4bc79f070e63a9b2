import type { RotationReport } from '../engine/commands/rotate.ts'
import type { TableOutcome } from '../engine/many-tables.ts'
import { EbbError, type ErrorKind } from '../errors.ts'

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

/** The exit code of a rotation: everything done, objections, something failed, stopped. */
export function exitCodeOfRotation({ sets, retired: retiredTables, stopped }: RotationReport): ExitCode {
  if (stopped) return EXIT.stopped
  const failures = [...sets, retiredTables].flatMap(({ failed }) => failed.map(({ error }) => error))
  if (failures.length > 0)
    return failures.every((error) => error instanceof EbbError && error.kind === 'try later')
      ? EXIT.tryLater
      : EXIT.failed
  return sets.some(({ plan }) => plan !== null && plan.objections.length > 0) ? EXIT.objections : EXIT.done
}

/** The exit code of a command for several tables: of what is worst. A plan that is shown may have objections. */
export function exitCodeOfTables(
  outcomes: readonly TableOutcome<unknown>[],
  isRefused: (outcome: TableOutcome<unknown>) => boolean = ({ outcome }) => outcome === 'refused',
): ExitCode {
  if (outcomes.some(({ outcome }) => outcome === 'stopped' || outcome === 'not begun')) return EXIT.stopped
  const kinds = outcomes.map((one) => (isRefused(one) ? 'objections' : kindOf(one)))
  if (kinds.includes('failed')) return EXIT.failed
  if (kinds.includes('objections')) return EXIT.objections
  return kinds.includes('try later') ? EXIT.tryLater : EXIT.done
}

function kindOf(one: TableOutcome<unknown>): 'failed' | 'objections' | 'try later' | null {
  if (one.outcome !== 'failed') return null
  const kind = one.error instanceof EbbError ? one.error.kind : 'failed'
  return kind === 'objections' || kind === 'try later' ? kind : 'failed'
}
