import { floorDivide } from './arithmetic.ts'
import { temporal } from './temporal.ts'
import { instantOf } from './timezone.ts'

// Times as PostgreSQL writes them with DateStyle ISO: `2026-12-01 00:00:00.5`.

const DATE_AND_TIME = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)$/

const MICROS_PER_DAY = 86_400_000_000n

/** The years of four digits; PostgreSQL supports 4713 BC to 294276. */
const FIRST = BigInt(Date.parse('0001-01-01T00:00Z')) * 1000n
const END = BigInt(Date.parse('+010000-01-01T00:00Z')) * 1000n

/** Whether a position, in microseconds, is in the years 1 to 9999. */
export function isOnCalendar(position: bigint): boolean {
  return position >= FIRST && position < END
}

export function midnightBefore(position: bigint): bigint {
  return floorDivide(position, MICROS_PER_DAY) * MICROS_PER_DAY
}

export function isMidnight(position: bigint): boolean {
  return midnightBefore(position) === position
}

/** The local time read as UTC, in microseconds since the epoch; null for any other text. */
export function readWallClock(text: string): bigint | null {
  const [, date, time] = DATE_AND_TIME.exec(text) ?? []
  if (date === undefined) return null
  try {
    return instantOf(temporal().Instant.from(`${date}T${time}Z`))
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

/** The inverse of `readWallClock`, without trailing zeros in the fraction. */
export function writeWallClock(position: bigint): string {
  return temporal()
    .Instant.fromEpochNanoseconds(position * 1000n)
    .toString()
    .replace('T', ' ')
    .slice(0, -1)
}
