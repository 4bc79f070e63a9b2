import { EPOCHS, isWallClock, type EpochKind, type KeyKind, type Position } from './key-kind.ts'
import { calendarAt, instantOf } from './timezone.ts'
import { midnightBefore } from './wall-clock.ts'

/**
 * The position of an instant of the server's clock: for `timestamp` the local time of the zone, for `date` the local
 * day, for other kinds the instant itself.
 *
 * A `date` stands for the whole day: a row may have been written at 23:59, so it is 90 days old only when the day is.
 */
export function positionOf(kind: KeyKind, instant: bigint, timezone: string): Position {
  switch (kind) {
    case 'timestamp':
      return wallClockAt(instant, timezone)
    case 'date':
      return midnightBefore(wallClockAt(instant, timezone))
    case 'timestamptz':
    case 'epoch-s':
    case 'epoch-ms':
    case 'epoch-us':
    case 'epoch-ns':
    case 'uuidv7':
      return instant
    case 'id':
      throw new TypeError('an id does not tell the time')
  }
}

/** The instant of a position: the inverse of `positionOf`, of a local time that the clock shows twice the first. */
export function instantAt(kind: KeyKind, position: Position, timezone: string): bigint {
  if (!isWallClock(kind)) return position
  return instantOf(
    calendarAt(position, 'UTC').toPlainDateTime().toZonedDateTime(timezone, { disambiguation: 'earlier' }),
  )
}

/** The unit in which a number is a time between 2001 and 2100, if there is one; the four ranges lie far apart. */
export function epochUnitOf(value: bigint): EpochKind | null {
  const kinds: readonly EpochKind[] = ['epoch-s', 'epoch-ms', 'epoch-us', 'epoch-ns']
  return kinds.find((kind) => isRecent((value * EPOCHS[kind].micros) / EPOCHS[kind].ticks)) ?? null
}

const RECENT_FROM = BigInt(Date.UTC(2001)) * 1000n
const RECENT_TO = BigInt(Date.UTC(2100)) * 1000n

function isRecent(instant: bigint): boolean {
  return instant >= RECENT_FROM && instant < RECENT_TO
}

function wallClockAt(instant: bigint, timezone: string): Position {
  return instantOf(calendarAt(instant, timezone).toPlainDateTime().toZonedDateTime('UTC'))
}
