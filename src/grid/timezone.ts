import type { Temporal } from 'temporal-polyfill'
import { UsageError } from '../errors.ts'
import { floorDivide } from './arithmetic.ts'
import { temporal } from './temporal.ts'

// Converts between microseconds, as PostgreSQL stores them, and the calendar of a time zone. The rules of the zones
// come with Node (ICU); bounds are written with their offset, so a server with other rules reads the same instants.

const NANOSECONDS = 1000n

/** Matches `Area/City`, `UTC`, `Etc/GMT+5`, but not `+02` or a whole date, which Temporal would accept too. */
const ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+/-]*$/

/**
 * Checks that a zone is a known IANA name. An offset is refused: it has no daylight saving time, and PostgreSQL reads
 * the sign of `+02` the other way round.
 *
 * @throws UsageError
 */
export function validateTimezone(name: string): void {
  if (ZONE_NAME.test(name) && isKnown(name)) return
  throw new UsageError(
    `'${name}' is not a supported time zone.`,
    "Use an IANA name, such as 'UTC', 'Europe/Berlin' or 'America/New_York'; offsets such as '+02' do not observe daylight saving time.",
  )
}

/** The local date and time in the zone at an instant, in microseconds since the epoch. */
export function calendarAt(instant: bigint, timezone: string): Temporal.ZonedDateTime {
  return temporal()
    .Instant.fromEpochNanoseconds(instant * NANOSECONDS)
    .toZonedDateTimeISO(timezone)
}

/** Microseconds since the epoch. */
export function instantOf(moment: Temporal.ZonedDateTime | Temporal.Instant): bigint {
  return floorDivide(moment.epochNanoseconds, NANOSECONDS)
}

/**
 * The first instant of a day: not midnight if the clock skips it (America/Sao_Paulo, 2018-11-04), and the next day's
 * if the calendar skips the whole day (Pacific/Apia, 2011-12-30). Of two midnights the first (America/Havana, each
 * autumn), where PostgreSQL's `date_trunc` takes the second.
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
