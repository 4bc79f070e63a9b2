/** What a column's values mean. */
export type KeyKind =
  'timestamptz' | 'timestamp' | 'date' | 'epoch-s' | 'epoch-ms' | 'epoch-us' | 'epoch-ns' | 'uuidv7' | 'id'

export type EpochKind = 'epoch-s' | 'epoch-ms' | 'epoch-us' | 'epoch-ns'

export type TimeKind = Exclude<KeyKind, 'id'>

/**
 * The value of a key as an integer, so that keys can be compared and counted whatever the column's type. For times,
 * microseconds since 1970-01-01 00:00 UTC; for `timestamp` and `date`, those of the local time read as UTC; for ids,
 * the id.
 */
export type Position = bigint

/** `ticks` of the column correspond to `micros` microseconds; the smallest such pair. */
export const EPOCHS: Readonly<Record<EpochKind, { readonly ticks: bigint; readonly micros: bigint }>> = {
  'epoch-s': { ticks: 1n, micros: 1_000_000n },
  'epoch-ms': { ticks: 1n, micros: 1000n },
  'epoch-us': { ticks: 1n, micros: 1n },
  'epoch-ns': { ticks: 1000n, micros: 1n },
}

export function isTimeKind(kind: KeyKind): kind is TimeKind {
  return kind !== 'id'
}

/** Whether the column holds a local time, not an instant. */
export function isWallClock(kind: KeyKind): kind is 'timestamp' | 'date' {
  return kind === 'timestamp' || kind === 'date'
}

/** The time zone of the calendar: positions of local times are read as UTC already. */
export function calendarZone(kind: TimeKind, timezone: string): string {
  return isWallClock(kind) ? 'UTC' : timezone
}
