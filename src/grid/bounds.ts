import type { Temporal } from 'temporal-polyfill'
import { floorDivide } from './arithmetic.ts'
import { durationOf, refuseHoursOfDates } from './duration.ts'
import type { Interval, Unit } from './interval.ts'
import { calendarZone, isTimeKind, type KeyKind, type Position, type TimeKind } from './key-kind.ts'
import { temporal } from './temporal.ts'
import { calendarAt, startOfDay } from './timezone.ts'

// Where bounds fall. Every grid is anchored in one fixed place, so that it is
// the same whichever partition, clock or run it is computed from:
//
//   hours                     1970-01-01 00:00 UTC, in absolute time: no daylight saving
//   days                      1970-01-01 in the time zone
//   weeks                     Monday 1970-01-05 in the time zone
//   months, quarters, years   January of the year 0 in the time zone
//   ids                       0

export type Grid = TimeGrid | IdGrid

export interface TimeGrid {
  readonly kind: 'time'
  readonly every: Interval
  /** IANA name. The set's own, never the session's. */
  readonly timezone: string
}

export interface IdGrid {
  readonly kind: 'id'
  /** The number of ids in each partition. */
  readonly width: bigint
}

/** The range between two bounds: from is inclusive, to exclusive. */
export interface Cell {
  readonly from: Position
  readonly to: Position
}

const MICROS_PER_HOUR = 3_600_000_000n

/** The greatest bound that is not after the position. */
export function floor(grid: Grid, keyKind: KeyKind, position: Position): Position {
  const line = lineOf(grid, keyKind)
  return line.bound(indexBelow(line, position))
}

/** The bound after this one; of a position between two bounds, the one that follows it. */
export function next(grid: Grid, keyKind: KeyKind, bound: Position): Position {
  const line = lineOf(grid, keyKind)
  return line.bound(indexBelow(line, bound) + 1n)
}

/** The cells that together hold everything from `from` up to `to`, in order; none when that is nothing. */
export function cellsBetween(grid: Grid, keyKind: KeyKind, from: Position, to: Position): Cell[] {
  if (from >= to) return []
  const cells: Cell[] = []
  for (let start = floor(grid, keyKind, from); start < to;) {
    const end = next(grid, keyKind, start)
    cells.push({ from: start, to: end })
    start = end
  }
  return cells
}

/** A grid on its line: its bounds numbered in order. */
interface Line {
  bound(index: bigint): Position
  /** The number of the bound below a position, or of an earlier one. */
  guess(position: Position): bigint
}

// The calendar gives the cell of a day, and is wrong if a clock is set back over midnight: on 2006-10-29 in
// America/St_Johns it was 23:01 on the 28th again after the 29th had begun. Those 59 minutes are after the bound.
function indexBelow(line: Line, position: Position): bigint {
  let index = line.guess(position)
  while (line.bound(index + 1n) <= position) index += 1n
  return index
}

function lineOf(grid: Grid, keyKind: KeyKind): Line {
  if (grid.kind === 'id') return idLine(grid, keyKind)
  if (!isTimeKind(keyKind)) throw new TypeError('ids do not lie on a calendar')
  return timeLine(grid, keyKind)
}

function idLine({ width }: IdGrid, keyKind: KeyKind): Line {
  if (isTimeKind(keyKind)) throw new TypeError('times are not counted in ids')
  return evenLine(width)
}

function timeLine({ every, timezone }: TimeGrid, keyKind: TimeKind): Line {
  refuseHoursOfDates(keyKind, every)
  const { count, unit } = every
  if (unit === 'hour') return evenLine(BigInt(count) * MICROS_PER_HOUR)
  return calendarLine(count, unit, calendarZone(keyKind, timezone))
}

function evenLine(width: bigint): Line {
  return {
    bound: (index) => index * width,
    guess: (position) => floorDivide(position, width),
  }
}

function calendarLine(count: number, unit: CalendarUnit, zone: string): Line {
  const { origin, passed } = CALENDARS[unit]
  const anchor = temporal().PlainDate.from(origin)
  return {
    bound: (index) => startOfDay(anchor.add(durationOf({ count: count * Number(index), unit })), zone),
    guess: (position) => floorDivide(BigInt(passed(calendarAt(position, zone).toPlainDate(), anchor)), BigInt(count)),
  }
}

type CalendarUnit = Exclude<Unit, 'hour'>

/** The origin of a unit, and the number of units before a day. */
interface Calendar {
  readonly origin: string
  readonly passed: (date: Temporal.PlainDate, origin: Temporal.PlainDate) => number
}

const YEAR_ZERO = '0000-01-01'

const CALENDARS: Readonly<Record<CalendarUnit, Calendar>> = {
  day: { origin: '1970-01-01', passed: (date, origin) => origin.until(date).days },
  week: { origin: '1970-01-05', passed: (date, monday) => Math.floor(monday.until(date).days / 7) },
  month: { origin: YEAR_ZERO, passed: (date) => date.year * 12 + date.month - 1 },
  quarter: { origin: YEAR_ZERO, passed: (date) => date.year * 4 + Math.floor((date.month - 1) / 3) },
  year: { origin: YEAR_ZERO, passed: (date) => date.year },
}
