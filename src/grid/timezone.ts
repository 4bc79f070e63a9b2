import { Temporal } from 'temporal-polyfill'
import { UsageError } from '../errors.ts'
import { floorDivide } from './arithmetic.ts'

// Between microseconds, which is what PostgreSQL keeps, and the calendar of a
// time zone. The rules of the zones come with Node (ICU); bounds are written
// down with their offset, so a server with other rules still reads them alike.

const NANOSECONDS = 1000n

/** The shape of `Area/City`, `UTC`, `Etc/GMT+5`, and not of `+02` nor of a whole date, which Temporal would take too. */
const ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+/-]*$/

/**
 * Makes sure that a zone is known by its IANA name. An offset is refused: it
 * knows no daylight saving, and PostgreSQL reads the sign of `+02` the other way round.
 *
 * @throws UsageError
 */
export function validateTimezone(name: string): void {
  if (ZONE_NAME.test(name) && isKnown(name)) return
  throw new UsageError(
    `'${name}' is not a time zone that can be used here.`,
    "Name it as the IANA database does, such as 'UTC', 'Europe/Berlin' or 'America/New_York'; offsets such as '+02' know no daylight saving.",
  )
}

/** What calendar and clock show in the zone at an instant, given in microseconds since the epoch. */
export function calendarAt(instant: bigint, timezone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochNanoseconds(instant * NANOSECONDS).toZonedDateTimeISO(timezone)
}

/** Microseconds since the epoch. */
export function instantOf(moment: Temporal.ZonedDateTime | Temporal.Instant): bigint {
  return floorDivide(moment.epochNanoseconds, NANOSECONDS)
}

/**
 * The first instant of a day, which is not midnight where the clock skips it
 * (America/Sao_Paulo, 2018-11-04), and is the next day's where the calendar
 * skips the whole day (Pacific/Apia, 2011-12-30). Of two midnights it is the
 * first (America/Havana, each autumn), where PostgreSQL's `date_trunc` takes the second.
 */
export function startOfDay(date: Temporal.PlainDate, timezone: string): bigint {
  return instantOf(date.toZonedDateTime(timezone))
}

function isKnown(name: string): boolean {
  try {
    calendarAt(0n, name)
    return true
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}
