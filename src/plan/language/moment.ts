import { calendarKind } from '../../catalog/table/calendar-kind.ts'
import { displayInterval, type Interval } from '../../grid/interval.ts'
import type { TimeKind } from '../../grid/key.ts'
import { own } from '../../sql/operators.ts'
import { literal } from '../../sql/sql.ts'

// Timestamps in SQL: the value of now() in a run, and others an interval away
// from it, in the types of columns.

/** The server's clock (microseconds since the epoch) as the text of a timestamptz, without quotes and cast. */
export function momentLiteral(nowMicros: string): string {
  const micros = BigInt(nowMicros)
  const iso = new Date(Number(micros / 1000n))
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, '')
  return literal(`${iso}.${String(micros % 1_000_000n).padStart(6, '0')}+00`).text.slice(1, -1)
}

/** The timestamp of `momentLiteral` less an interval: a timestamptz. */
export function momentBefore(moment: string, interval: Interval): string {
  return `('${moment}'::pg_catalog.timestamptz ${own('-').text} interval '${intervalText(interval)}')`
}

const UNITS: readonly string[] = ['hour', 'day', 'week', 'month', 'quarter', 'year']

/** An interval in PostgreSQL's syntax, which has no quarters. Stored values pass through here too, so they are validated. */
export function intervalText({ count, unit }: Interval): string {
  if (!Number.isInteger(count) || !UNITS.includes(unit)) throw new Error('not an interval')
  return unit === 'quarter' ? `${count * 3} months` : displayInterval({ count, unit })
}

const AS: Readonly<Partial<Record<TimeKind, (moment: string) => string>>> = {
  timestamptz: (moment) => moment,
  timestamp: (moment) => `(${moment} at time zone 'UTC')`,
  date: (moment) => `(${moment} at time zone 'UTC')::pg_catalog.date`,
}

/**
 * A timestamptz in the type of a column; null if that is not a time. Without a
 * time zone it is UTC, as everywhere in Ebb.
 */
export function momentOf(type: string, moment: string): string | null {
  const kind = calendarKind(type)
  return kind === null ? null : (AS[kind]?.(moment) ?? null)
}
