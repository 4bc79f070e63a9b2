/** What a column's values mean. */
export type KeyKind =
  'timestamptz' | 'timestamp' | 'date' | 'epoch-s' | 'epoch-ms' | 'epoch-us' | 'epoch-ns' | 'uuidv7' | 'id'

export type EpochKind = 'epoch-s' | 'epoch-ms' | 'epoch-us' | 'epoch-ns'

export type TimeKind = Exclude<KeyKind, 'id'>

/**
 * A place on the line that a key's values lie on, so that they can be compared
 * and counted whatever the column's type. For times, microseconds since
 * 1970-01-01 00:00 UTC; for `timestamp` and `date`, those of the wall clock
 * read as if it were UTC; for ids, the id.
 */
export type Position = bigint

/** So many `ticks`, which are what the column holds, make so many `micros`econds; both smallest. */
export const EPOCHS: Readonly<Record<EpochKind, { readonly ticks: bigint; readonly micros: bigint }>> = {
  'epoch-s': { ticks: 1n, micros: 1_000_000n },
  'epoch-ms': { ticks: 1n, micros: 1000n },
  'epoch-us': { ticks: 1n, micros: 1n },
  'epoch-ns': { ticks: 1000n, micros: 1n },
}

export function isTimeKind(kind: KeyKind): kind is TimeKind {
  return kind !== 'id'
}

/** Whether the column holds what a clock on the wall shows, and no instant. */
export function isWallClock(kind: KeyKind): kind is 'timestamp' | 'date' {
  return kind === 'timestamp' || kind === 'date'
}

/** The zone whose calendar divides the line: a wall clock's positions are read as UTC already. */
export function calendarZone(kind: TimeKind, timezone: string): string {
  return isWallClock(kind) ? 'UTC' : timezone
}
