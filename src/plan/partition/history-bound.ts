import type { KeyHead } from '../../catalog/table/key-head.ts'
import { cellsBetween, floor, next, type Cell } from '../../grid/grid.ts'
import { fromText, positionOf, type KeyKind, type Position } from '../../grid/key.ts'
import type { KeyChoice } from './key-choice.ts'

// Where the history ends and the runway begins.
//
// From the addition of the CHECK to the swap, rows beyond the bound are refused.
// So it lies far ahead: the table may be locked for hours, a run may be killed on a
// Friday night, and one transaction may use many ids at once. The price is that the
// history reaches further, and expires later.

/** A weekend, in microseconds. */
const MARGIN_MICROS = 3n * 86_400_000_000n

/** So many ids may be used at once, by a batch job or an import, before the bound can be chosen again. */
const BURST_IDS = 50_000n

export interface HistoryBound {
  /** The upper bound of the history partition. */
  readonly at: Position
  /** Once rows reach this position before the swap, the CHECK is dropped and a later bound is chosen. */
  readonly near: Position
}

/** A cut, and what is needed to see how far away it is. */
export interface Bound extends HistoryBound {
  readonly column: string
  readonly kind: KeyKind
  readonly timezone: string
}

/** Whether new rows, or any, have come too near. */
export function isNear({ kind, timezone, near }: Bound, { now, newest, handedOut }: KeyHead): boolean {
  const newRows = kind === 'id' ? BigInt(handedOut ?? 0) : positionOf(kind, BigInt(now), timezone)
  return newRows >= near || (newest !== null && fromText(kind, newest) >= near)
}

/** The bound of the grid that is safely ahead of all that will be written until the swap, and of every row there is as long as that lies within the runway. */
export function cutFor(choice: KeyChoice, premake: number): HistoryBound {
  const margin = marginOf(choice)
  const at = boundFrom(choice, newestOf(choice, premake) + margin)
  return { at, near: at - (margin + 3n) / 4n }
}

/** The cells of the runway, `premake` of them, from the cut on. */
export function runwayFrom(choice: KeyChoice, cut: Position, premake: number): Cell[] {
  return cellsBetween(choice.grid, choice.kind, cut, after(choice, cut, premake))
}

/** Where the runway ends where rows are copied, and nothing has to be proven: `premake` cells after the one of the newest row. */
export function runwayEnd(choice: KeyChoice, premake: number): Position {
  return after(choice, newestOf(choice, premake), premake + 1)
}

/** Where new rows go, or have gone already: an application that dates rows ahead will continue to do so. */
function newestOf(choice: KeyChoice, premake: number): Position {
  const { max, head } = choice
  return max !== null && max > head && max < after(choice, head, premake + 1) ? max : head
}

function after({ grid, kind }: KeyChoice, position: Position, cells: number): Position {
  let end = floor(grid, kind, position)
  for (let i = 0; i < cells; i++) end = next(grid, kind, end)
  return end
}

function boundFrom({ grid, kind }: KeyChoice, position: Position): Position {
  const bound = floor(grid, kind, position)
  return bound === position ? bound : next(grid, kind, bound)
}

// Ids are used up by caches and rolled-back work as well. A whole partition, because that is what the user takes for a stretch.
export function marginOf({ kind, grid, idRate }: Pick<KeyChoice, 'kind' | 'grid' | 'idRate'>): bigint {
  if (kind !== 'id') return MARGIN_MICROS
  const width = grid.kind === 'id' ? grid.width : 0n
  const byRate = idRate === null ? 0n : BigInt(Math.ceil(idRate * Number(MARGIN_MICROS)))
  return [width, byRate, BURST_IDS].reduce((most, margin) => (margin > most ? margin : most))
}
