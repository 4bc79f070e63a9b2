import { floor, next, type Cell, type Grid, type IdGrid, type TimeGrid } from './bounds.ts'
import type { Span } from './gaps.ts'
import type { Unit } from './interval.ts'
import { isTimeKind, type KeyKind, type TimeKind } from './key-kind.ts'

/** Older partitions may be from another policy; only this many of the latest count. */
const WITNESSES = 6

/** Coarsest first, because a month is also 31 days. */
const UNITS: readonly Unit[] = ['year', 'quarter', 'month', 'week', 'day', 'hour']

/** Usual multiples. With arbitrary numbers, a single wide partition would suggest a grid of 33 months. */
const MULTIPLES = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 15, 24, 30]

/**
 * The grid that a set of partitions follows, judged by its latest bounded ones: each must be exactly one cell, and
 * each begin where the one before ends. Of several such grids the coarsest unit, then the smallest multiple, then the
 * first time zone.
 *
 * Null if there is none, or if the latest partitions leave a gap. With a single partition, the result is a guess.
 */
export function inferGrid(
  kind: KeyKind,
  partitions: readonly Span[],
  timezones: readonly string[] = ['UTC'],
): Grid | null {
  const latest = partitions.filter(isCell).sort(byStart).slice(-WITNESSES)
  const [first] = latest
  if (first === undefined || !areConsecutive(latest)) return null
  const candidates = isTimeKind(kind) ? timeGrids(kind, timezones) : idGrids(first)
  for (const grid of candidates) if (latest.every((cell) => isCellOf(grid, kind, cell))) return grid
  return null
}

function* timeGrids(kind: TimeKind, timezones: readonly string[]): Generator<TimeGrid> {
  for (const unit of UNITS)
    for (const count of unit === 'quarter' ? [1] : MULTIPLES)
      for (const timezone of timezones)
        if (kind !== 'date' || unit !== 'hour') yield { kind: 'time', every: { count, unit }, timezone }
}

function idGrids({ from, to }: Cell): IdGrid[] {
  return [{ kind: 'id', width: to - from }]
}

function isCellOf(grid: Grid, kind: KeyKind, { from, to }: Cell): boolean {
  return floor(grid, kind, from) === from && next(grid, kind, from) === to
}

function areConsecutive(cells: readonly Cell[]): boolean {
  return cells.every((cell, position) => position === 0 || cells[position - 1]?.to === cell.from)
}

function isCell(span: Span): span is Cell {
  return span.from !== null && span.to !== null
}

function byStart(a: Cell, b: Cell): number {
  return a.from < b.from ? -1 : 1
}
