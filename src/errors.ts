// Every error a user can meet. Each says what happened, how things stand, and
// what to do next; the command line prints these three sentences. Any other error that escapes is a bug and is shown with its stack.

/** What kind of failure it is; the command line has an exit code for each (cli/exit-codes.ts). */
export type ErrorKind = 'failed' | 'usage' | 'objections' | 'stopped' | 'try later'

export interface Advice {
  /** How things stand now, after the failure. */
  readonly state: string
  /** What the user can do. */
  readonly next: string
}

/** What an error says; of anything else that was thrown, the thing as text. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** An error that was foreseen. */
export class EbbError extends Error {
  override readonly name: string = 'EbbError'
  readonly kind: ErrorKind
  readonly advice: Advice

  constructor(message: string, advice: Advice, kind: ErrorKind = 'failed', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.advice = advice
    this.kind = kind
  }
}

/** How things stand after whatever was refused before it began. */
export const NOTHING_CHANGED = 'Nothing has been changed.'

/** Wrong words on the command line or in a call. */
export class UsageError extends EbbError {
  override readonly name = 'UsageError'

  constructor(message: string, next: string, cause?: unknown) {
    super(message, { state: NOTHING_CHANGED, next }, 'usage', cause)
  }
}

/** There are reasons not to start. Each is in the plan, with its way out. */
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
