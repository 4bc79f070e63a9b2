import type { Temporal } from 'temporal-polyfill'
import { durationOf, refuseHoursOfDates } from './duration.ts'
import type { Interval } from './interval.ts'
import { calendarZone, isTimeKind, type KeyKind, type Position } from './key-kind.ts'
import { calendarAt, instantOf } from './timezone.ts'

/**
 * The position an interval earlier, by the calendar of the zone: the same time of day `90 days` before, and of 31
 * March `1 month` before the last of February. Hours are absolute. Of an ambiguous local time the first is used
 * (PostgreSQL uses the second), so that a horizon errs towards keeping rows.
 *
 * @throws UsageError for hours before a `date`.
 */
export function minus(position: Position, interval: Interval, kind: KeyKind, timezone: string): Position {
  return shifted(position, interval, kind, timezone, (moment, by) => moment.subtract(by))
}

/**
 * The position an interval later, as `minus` goes back. Adding what was subtracted need not give the original: 31
 * March does not.
 */
export function plus(position: Position, interval: Interval, kind: KeyKind, timezone: string): Position {
  return shifted(position, interval, kind, timezone, (moment, by) => moment.add(by))
}

type Shift = (moment: Temporal.ZonedDateTime, by: Temporal.DurationLike) => Temporal.ZonedDateTime

function shifted(position: Position, interval: Interval, kind: KeyKind, timezone: string, shift: Shift): Position {
  if (!isTimeKind(kind)) throw new TypeError('ids do not lie on a calendar')
  refuseHoursOfDates(kind, interval)
  return instantOf(shift(calendarAt(position, calendarZone(kind, timezone)), durationOf(interval)))
}
