import { cellsBetween, floor, next, type Cell } from '../grid/grid.ts'
import { positionOf, type Position } from '../grid/key.ts'
import type { KeyChoice } from './key-choice.ts'

// Where the history ends and the runway begins.

/** Preparing takes less than this, in microseconds. From its beginning to the swap a CHECK rejects rows beyond the cut. */
const MARGIN_MICROS = 2n * 3_600_000_000n

/**
 * The upper bound of the history partition: a bound of the grid, safely ahead
 * of everything that will be written until the swap, and of every row there is
 * as long as that lies within the runway.
 */
export function cutFor(choice: KeyChoice, now: bigint, premake: number): Position {
  const { grid, kind, max, head } = choice
  const safe = kind === 'id' ? head + idMargin(choice) : positionOf(kind, now + MARGIN_MICROS, choice.timezone)
  const wished = max !== null && max >= safe && max < furthest(choice, premake) ? max + 1n : safe
  const bound = floor(grid, kind, wished)
  return bound === wished ? bound : next(grid, kind, bound)
}

/** The cells of the runway, `premake` of them, from the cut on. */
export function runwayFrom(choice: KeyChoice, cut: Position, premake: number): Cell[] {
  let end = cut
  for (let i = 0; i < premake; i++) end = next(choice.grid, choice.kind, end)
  return cellsBetween(choice.grid, choice.kind, cut, end)
}

function furthest({ grid, kind, head }: KeyChoice, premake: number): Position {
  let end = floor(grid, kind, head)
  for (let i = 0; i <= premake; i++) end = next(grid, kind, end)
  return end
}

// Ids are used up by caches and rolled-back work as well; where the rate is unknown a tenth of a partition has to do.
function idMargin({ idRate, grid }: KeyChoice): bigint {
  const width = grid.kind === 'id' ? grid.width : 0n
  const byRate = idRate === null ? 0n : BigInt(Math.ceil(idRate * Number(MARGIN_MICROS)))
  const tenth = width / 10n
  return byRate > tenth ? byRate : tenth
}
