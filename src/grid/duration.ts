import type { Temporal } from 'temporal-polyfill'
import { UsageError } from '../errors.ts'
import { displayInterval, type Interval } from './interval.ts'
import type { KeyKind } from './key-kind.ts'

const MONTHS_PER_QUARTER = 3

/** The interval as a Temporal duration, which has no quarters. */
export function durationOf({ count, unit }: Interval): Temporal.DurationLike {
  switch (unit) {
    case 'hour':
      return { hours: count }
    case 'day':
      return { days: count }
    case 'week':
      return { weeks: count }
    case 'month':
      return { months: count }
    case 'quarter':
      return { months: count * MONTHS_PER_QUARTER }
    case 'year':
      return { years: count }
  }
}

/** @throws UsageError when days are to be measured in hours. */
export function refuseHoursOfDates(keyKind: KeyKind, interval: Interval): void {
  if (keyKind !== 'date' || interval.unit !== 'hour') return
  throw new UsageError(
    `The key is a date and has no hours, so '${displayInterval(interval)}' cannot be subtracted from it.`,
    'Choose an interval of days, weeks, months, quarters or years.',
  )
}
