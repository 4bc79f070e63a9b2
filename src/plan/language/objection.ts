import type { Objection } from './step.ts'

/** A reason not to start that cannot be accepted: it has to be removed first. */
export function objection(code: string, what: string, fix: string): Objection {
  return { code, what, fix: fix, acceptable: false }
}

/** Those that the user has not accepted. */
export function unaccepted(objections: readonly Objection[], accept: readonly string[]): Objection[] {
  return objections.filter(({ code, acceptable }) => !(acceptable && accept.includes(code)))
}

/** The objection, where the condition is true. */
export function when(condition: boolean, object: () => Objection): Objection[] {
  return condition ? [object()] : []
}
