import fc from 'fast-check'
import type { KeyKind, TimeKind } from '../../src/grid/key.ts'
import { fromText, toText } from '../../src/grid/key.ts'

/** Microseconds since the epoch of a UTC time: `utc('2026-12-01')`, `utc('2026-12-01 13:30:00.5')`. */
export function utc(text: string): bigint {
  return fromText('timestamptz', `${text.includes(' ') ? text : `${text} 00:00:00`}+00`)
}

/** As PostgreSQL would print it, without the offset. */
export function shown(position: bigint): string {
  return toText('timestamp', position)
}

/** Zones that do something unusual: at midnight, by a half hour, by a whole day, to the minute. */
export const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Sao_Paulo',
  'America/St_Johns',
  'America/Havana',
  'Asia/Kathmandu',
  'Asia/Beirut',
  'Asia/Gaza',
  'Africa/Cairo',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Kiritimati',
]

export const TIME_KINDS: readonly TimeKind[] = [
  'timestamptz',
  'timestamp',
  'date',
  'epoch-s',
  'epoch-ms',
  'epoch-us',
  'epoch-ns',
  'uuidv7',
]

export const KINDS: readonly KeyKind[] = [...TIME_KINDS, 'id']

export const zones = fc.constantFrom(...ZONES)
export const timeKinds = fc.constantFrom(...TIME_KINDS)

/** From 1971 to 2105, to the microsecond, often near a change of the clock. */
export const instants = fc.oneof(
  fc.bigInt({ min: utc('1971-01-01'), max: utc('2105-01-01') }),
  fc
    .tuple(
      fc.constantFrom(
        '2026-03-29 01:00:00',
        '2026-10-25 01:00:00',
        '2018-11-04 03:00:00',
        '2018-02-18 02:00:00',
        '2006-10-29 02:31:00',
        '2011-12-30 10:00:00',
        '2026-04-04 15:00:00',
      ),
      fc.bigInt({ min: -90_000_000_000n, max: 90_000_000_000n }),
    )
    .map(([change, offset]) => utc(change) + offset),
)
