// Every error a user can meet. Each says what happened, how things stand, and
// what to do next; the command line prints these three sentences. Any other error that escapes is a bug and is shown with its stack.

/** The kind of failure; the command line has an exit code for each (cli/exit-codes.ts). */
export type ErrorKind = 'failed' | 'usage' | 'objections' | 'stopped' | 'try later'

export interface Advice {
  /** How things stand now, after the failure. */
  readonly state: string
  /** What the user can do. */
  readonly next: string
}

/**
 * The message of an error, or any other thrown value as text. PostgreSQL's own may contain values of rows: what is
 * shown is `reasonOf` it (db/sqlstate.ts).
 */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** An expected error. */
export class EbbError extends Error {
  override readonly name: string = 'EbbError'
  readonly kind: ErrorKind
  readonly advice: Advice
  /** What there is to say of the rows it is about, with their values: a line each, shown only if asked for. */
  readonly values: readonly string[]

  constructor(
    message: string,
    advice: Advice,
    kind: ErrorKind = 'failed',
    cause?: unknown,
    values: readonly string[] = [],
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.advice = advice
    this.kind = kind
    this.values = values
  }
}

/** The state after a refusal. */
export const NOTHING_CHANGED = 'Nothing has been changed.'

/** Invalid usage, on the command line or in a call. */
export class UsageError extends EbbError {
  override readonly name = 'UsageError'

  constructor(message: string, next: string, cause?: unknown) {
    super(message, { state: NOTHING_CHANGED, next }, 'usage', cause)
  }
}

/** There are blocking issues, each with its fix in the plan. */
export class ObjectionsError<
  Plan extends { readonly objections: readonly { what: string; fix: string }[] },
> extends EbbError {
  override readonly name = 'ObjectionsError'
  readonly plan: Plan

  constructor(goal: string, plan: Plan) {
    const { objections } = plan
    const count = objections.length === 1 ? 'a reason' : `${objections.length} reasons`
    super(
      `there is ${count} not to ${goal}: ${objections.map(({ what }) => what).join('; ')}`,
      { state: NOTHING_CHANGED, next: objections.map(({ fix }) => fix).join(' ') },
      'objections',
    )
    this.plan = plan
  }
}
