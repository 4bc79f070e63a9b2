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
