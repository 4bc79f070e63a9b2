/** A blocking issue with its fix. Some can be accepted by code (`--accept <code>`). */
export interface Objection {
  readonly code: string
  readonly what: string
  readonly fix: string
  readonly acceptable: boolean
}

/** A blocking issue that cannot be accepted: it has to be resolved first. */
export function objection(code: string, what: string, fix: string): Objection {
  return { code, what, fix: fix, acceptable: false }
}

/** Those not accepted by the user. */
export function unaccepted(objections: readonly Objection[], accept: readonly string[]): Objection[] {
  return objections.filter(({ code, acceptable }) => !(acceptable && accept.includes(code)))
}

/** The objection, if the condition is true. */
export function when(condition: boolean, object: () => Objection): Objection[] {
  return condition ? [object()] : []
}
