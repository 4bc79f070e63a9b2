import type { RotationReport } from '../engine/commands/rotate.ts'
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
