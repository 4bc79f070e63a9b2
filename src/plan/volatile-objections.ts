import { objection } from './objection.ts'
import type { Objection } from './step.ts'

/** For each of the functions of a condition that give another answer each time: a run that goes on would mean other rows then. */
export function volatileObjections(functions: readonly string[]): Objection[] {
  return functions.map((name) =>
    objection(
      `volatile:${name}`,
      `${name}() in the condition gives another answer each time it is asked`,
      'Use only what depends on the row; now() is fixed once at the start.',
    ),
  )
}
