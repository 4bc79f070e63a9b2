import { cellsBetween, type Cell, type Grid } from './bounds.ts'
import type { KeyKind, Position } from './key-kind.ts'

/** The range of a partition: from is inclusive, to exclusive, null unbounded. */
export interface Span {
  readonly from: Position | null
  readonly to: Position | null
}

/** Whether two spans have a position in common. */
export function overlap(a: Span, b: Span): boolean {
  return isBefore(a.from, b.to) && isBefore(b.from, a.to)
}

/** Null is beyond everything: as a lower bound the first, as an upper one the last. */
function isBefore(from: Position | null, to: Position | null): boolean {
  return from === null || to === null || from < to
}

/** The parts between `from` and `to` that no span covers, in order. Spans may overlap and be in any order. */
export function gapsIn(spans: readonly Span[], from: Position, to: Position): Cell[] {
  const gaps: Cell[] = []
  let covered = from
  for (const span of spans.toSorted(byStart)) {
    const start = span.from ?? covered
    if (start >= to) break
    if (start > covered) gaps.push({ from: covered, to: start })
    covered = greater(covered, span.to ?? to)
  }
  if (covered < to) gaps.push({ from: covered, to })
  return gaps
}

/** Up to where spans cover everything from a position on: null is without an end, the position itself if none covers it. */
export function coveredUntil(spans: readonly Span[], from: Position): Position | null {
  let covered = from
  for (const { from: start, to } of spans.toSorted(byStart)) {
    if (start !== null && start > covered) break
    if (to === null) return null
    covered = greater(covered, to)
  }
  return covered
}

/**
 * The cells to create so that everything from `from` up to `to` is covered:
 * cells of the grid, the first and the last whole, each clipped where a span
 * covers part of it already. None overlaps a span; a span in the middle of a
 * cell leaves two pieces.
 */
export function missingCells(grid: Grid, kind: KeyKind, spans: readonly Span[], from: Position, to: Position): Cell[] {
  return cellsBetween(grid, kind, from, to)
    .flatMap((cell) => gapsIn(spans, cell.from, cell.to))
    .filter((piece) => piece.from < to && piece.to > from)
}

/** For sorting. */
export function byStart(a: Span, b: Span): number {
  if (a.from === b.from) return 0
  if (a.from === null) return -1
  if (b.from === null) return 1
  return a.from < b.from ? -1 : 1
}

function greater(a: Position, b: Position): Position {
  return a > b ? a : b
}
