/** How much a copy does in one transaction. Tests make it little, to have many turns of everything. */
export interface CopySizes {
  /** Blocks of a chunk, at most. */
  readonly chunkBlocks: number
  /** Entries of the log in a batch: a transaction of some ten milliseconds. */
  readonly batchEntries: number
  /** Entries that may be left in the log for the swap to catch up with under lock. */
  readonly shortLog: number
}

export const SIZES: CopySizes = { chunkBlocks: 32_768, batchEntries: 5_000, shortLog: 500 }

/** While transports are compared, chunks are alike; all of them together should be no more than a tenth of the copy. */
const CHUNKS_TO_COMPARE = 80

/**
 * How much the first chunks carry.
 *
 * @param usual what takes a tenth of a second; an eighth of it is the least that can be measured
 */
export function firstSize(total: number, usual: number, most: number): number {
  const small = Math.max(Math.ceil(total / CHUNKS_TO_COMPARE), Math.ceil(usual / 8))
  return Math.min(small, usual, most)
}

/** A chunk should take about this long: short enough to pace by, long enough to cost nothing. */
const CHUNK_MS = 400

/** How much the next chunk carries, after one of `size`. */
export function nextSize(size: number, milliseconds: number): number {
  const wished = Math.round((size * CHUNK_MS) / Math.max(milliseconds, 1))
  return Math.max(1, Math.min(wished, size * 4))
}
