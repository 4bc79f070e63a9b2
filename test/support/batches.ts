import type { Turns } from '../../src/engine/purge/turns.ts'

/** Batches of so many rows, without a pause. */
export function batchesOf(rows: number): Turns {
  return { turn: () => Promise.resolve({ rows }) }
}
