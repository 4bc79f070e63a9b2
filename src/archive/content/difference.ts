import { EbbError } from '../../errors.ts'

/** One way in which what is stored is not what the receipt says. */
export interface Difference {
  readonly what: DifferentThing
  readonly expected: number | string
  readonly found: number | string
}

export type DifferentThing =
  | 'object'
  | 'bytes stored'
  | 'SHA-256 of what is stored'
  | 'encoding'
  | 'bytes of content'
  | 'SHA-256 of the content'
  | 'rows'
  | 'last record'
  | 'header'
  | 'SHA-256 of the rows'
  | 'SHA-256 of the receipt'
  | 'table'
  | 'rows archived'
  | 'rows deleted or kept'

/** Nothing, or the difference. */
export function difference<Value extends number | string>(
  what: DifferentThing,
  expected: Value,
  found: Value,
): Difference[] {
  return expected === found ? [] : [{ what, expected, found }]
}

export function differenceText({ what, expected, found }: Difference): string {
  return `${what}: ${found} instead of ${expected}`
}

/** An object that is not what its receipt says. */
export class DifferenceError extends EbbError {
  override readonly name = 'DifferenceError'
  readonly differences: readonly Difference[]

  constructor(object: string, differences: readonly Difference[], cause?: unknown) {
    super(
      `the object ${object} is not what was archived: ${differences.map(differenceText).join('; ')}`,
      {
        state: 'Nothing that was read of it is relied on: no row of it is restored, and none removed.',
        next: 'Look for what has changed it where it is stored, and for another copy. ebb status shows how an unfinished run is continued or ended.',
      },
      'failed',
      cause,
    )
    this.differences = differences
  }
}
