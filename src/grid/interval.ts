import { UsageError } from '../errors.ts'

export type Unit = 'hour' | 'day' | 'week' | 'month' | 'quarter' | 'year'

/** A length on the calendar. Its number of seconds depends on its position on the calendar. */
export interface Interval {
  readonly count: number
  readonly unit: Unit
}

const WRITTEN = /^(?:([1-9]\d*) )?(hour|day|week|month|quarter|year)(s?)$/

const ADVERBS: ReadonlyMap<string, Unit> = new Map([
  ['hourly', 'hour'],
  ['daily', 'day'],
  ['weekly', 'week'],
  ['monthly', 'month'],
  ['quarterly', 'quarter'],
  ['yearly', 'year'],
])

/** A larger number is a typing error, and would exceed the calendar. */
const LARGEST_COUNT = 10_000

/**
 * Reads `month`, `3 months`, `monthly`. Deliberately stricter than PostgreSQL's `interval`: `1 month 3 days` cannot
 * be a grid, and lenient parsers have read `90d` as nothing.
 *
 * @throws UsageError that shows the accepted forms.
 */
export function parseInterval(text: string): Interval {
  const adverb = ADVERBS.get(text)
  if (adverb !== undefined) return { count: 1, unit: adverb }

  const [, digits, unit, plural] = WRITTEN.exec(text) ?? []
  const count = Number(digits ?? 1)
  if (unit === undefined || (digits === undefined && plural !== '') || count > LARGEST_COUNT) throw notAnInterval(text)
  return { count, unit: unit as Unit }
}

/** `1 month`, `90 days`; what `parseInterval` reads back. */
export function displayInterval({ count, unit }: Interval): string {
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

function notAnInterval(text: string): UsageError {
  return new UsageError(
    `'${text}' is not an interval.`,
    `Write it as '3 months', '90 days', 'month' or 'monthly': a whole number from 1 to ${LARGEST_COUNT} ` +
      'and one of hour, day, week, month, quarter, year.',
  )
}
