import type { Transform } from 'node:stream'
import type { ArchivedColumn, Encoding } from '../../plan/archive/receipt.ts'
import type { Step } from './encryption.ts'
import type { PartMeasures } from './parts.ts'

/**
 * What stands between the rows as PostgreSQL sends them, CSV with a header, and the bytes of an object before
 * encryption. The way back gives the same CSV, letter for letter, so that what is read back is compared with what was sent.
 */
export interface Format {
  /** At most so many times larger than CSV. */
  readonly growth: number
  /** @throws {EbbError} if a package that it needs is not installed */
  load(): Promise<void>
  /**
   * Makes the CSV again of what it has written, and fails unless it is `sent`, which is asked when all of it has come. So the
   * CSV of an object is proven by its stored bytes.
   */
  write(rows: RowsToWrite, encoding: Encoding, sent: () => PartMeasures): Conversion
  /** `whole` is called when all bytes have come, before any of them is trusted; it throws if they are not those of the receipt. */
  read(encoding: Encoding, whole: () => void): Conversion
}

export interface RowsToWrite {
  readonly columns: readonly Pick<ArchivedColumn, 'name' | 'type'>[]
  /** Columns that are stored as text, because some values are not held by the type of the format. */
  readonly asText: readonly string[]
}

/** Steps of a pipeline. */
export interface Conversion {
  readonly steps: readonly (Transform | Step)[]
  /** Ends what is under way, and removes what it has left on this machine. */
  close(): Promise<void>
}
