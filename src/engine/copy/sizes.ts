/** How much a copy does in one transaction. Tests use small sizes, to have many of everything. */
export interface CopySizes {
  /** Maximum blocks of a chunk. */
  readonly chunkBlocks: number
  /** Log entries of a batch: a transaction of about ten milliseconds. */
  readonly batchEntries: number
  /** Entries that may be left in the log for the swap to apply under lock. */
  readonly shortLog: number
}

export const SIZES: CopySizes = { chunkBlocks: 32_768, batchEntries: 5_000, shortLog: 500 }

/** While transports are compared, chunks have equal sizes; together they should be at most a tenth of the copy. */
const CHUNKS_TO_COMPARE = 80

/**
 * The size of the first chunks.
 *
 * @param usual the size that takes a tenth of a second; an eighth of it is the smallest measurable size
 */
export function firstSize(total: number, usual: number, most: number): number {
  const small = Math.max(Math.ceil(total / CHUNKS_TO_COMPARE), Math.ceil(usual / 8))
  return Math.min(small, usual, most)
}

/** The size that even a slow disk writes in a moment, 256 kB, where `usual` takes a tenth of a second. */
export function leastSize(usual: number, most: number): number {
  return Math.min(Math.ceil(usual / 16), most)
}

/** The target duration of a chunk: short enough for pacing, long enough to have no overhead. */
const CHUNK_MS = 400

/** The size of the next chunk, after one of `size`. */
export function nextSize(size: number, milliseconds: number): number {
  const wished = Math.round((size * CHUNK_MS) / Math.max(milliseconds, 1))
  return Math.max(1, Math.min(wished, size * 4))
}
