import type { Temporal } from 'temporal-polyfill'
import { freeCompanion } from '../sql/names.ts'
import type { Grid } from './bounds.ts'
import type { Unit } from './interval.ts'
import { calendarZone, isTimeKind, type KeyKind, type Position } from './key-kind.ts'
import { calendarAt, startOfDay } from './timezone.ts'
import { writeWallClock } from './wall-clock.ts'

/**
 * A name with the lower bound of a partition: `events_2026_12` for a month, `events_2026_w49` for an ISO week,
 * `events_90000000` for ids. A partition that starts inside a cell gets as many more digits as necessary.
 *
 * Days are those of the grid's time zone. Hours are UTC, except on a wall clock: where the clock goes back, a local
 * hour would name two partitions.
 *
 * For display only: names are never used for decisions.
 *
 * @param taken the names in use in the schema; the name returned is not among them.
 */
export function partitionName(
  base: string,
  grid: Grid,
  kind: KeyKind,
  from: Position,
  taken: Pick<ReadonlySet<string>, 'has'>,
): string {
  return freeCompanion(base, `_${suffix(grid, kind, from)}`, taken)
}

function suffix(grid: Grid, kind: KeyKind, from: Position): string {
  if (grid.kind === 'id') return from < 0n ? `m${-from}` : from.toString()
  if (!isTimeKind(kind)) throw new TypeError('ids do not lie on a calendar')
  return timeSuffix(grid.every.unit, from, calendarZone(kind, grid.timezone))
}

function timeSuffix(unit: Unit, from: Position, zone: string): string {
  const date = calendarAt(from, zone).toPlainDate()
  return unit !== 'hour' && startOfDay(date, zone) === from ? daySuffix(unit, date) : hourSuffix(from)
}

function daySuffix(unit: Unit, date: Temporal.PlainDate): string {
  const [year, month, day] = date.toString().split('-')
  const isFirstOfMonth = date.day === 1

  if (unit === 'week' && date.dayOfWeek === 1) return `${date.yearOfWeek}_w${twoDigits(date.weekOfYear)}`
  if (unit === 'year' && date.dayOfYear === 1) return `${year}`
  if (unit === 'quarter' && isFirstOfMonth && date.month % 3 === 1) return `${year}_q${(date.month + 2) / 3}`
  if (['year', 'quarter', 'month'].includes(unit) && isFirstOfMonth) return `${year}_${month}`
  return `${year}_${month}_${day}`
}

// `2026_12_01_13`, and minutes and seconds where there are any.
function hourSuffix(from: Position): string {
  return writeWallClock(from)
    .replaceAll(/\D/g, '_')
    .replace(/(_00){1,2}$/, '')
}

function twoDigits(number: number | undefined): string {
  return String(number).padStart(2, '0')
}
