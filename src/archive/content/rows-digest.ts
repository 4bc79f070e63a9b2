import { createHash } from 'node:crypto'
import { CsvRecords } from './csv-records.ts'

/** The rows of several objects as PostgreSQL sent them: the header once, which each object repeats. */
export class RowsDigest {
  private readonly hash = createHash('sha256')
  private objects = 0
  /** While the header of a later object is passed over. */
  private header: CsvRecords | null = null

  nextObject(): void {
    this.header = this.objects === 0 ? null : new CsvRecords()
    this.objects += 1
  }

  /** What of these bytes PostgreSQL sent. */
  add(chunk: Uint8Array): Uint8Array {
    const sent = chunk.subarray(this.headerIn(chunk))
    this.hash.update(sent)
    return sent
  }

  /** SHA-256 of all; ask once. */
  digest(): string {
    return this.hash.digest('hex')
  }

  private headerIn(chunk: Uint8Array): number {
    if (this.header === null) return 0
    const end = this.header.through(chunk, 0)
    if (this.header.count > 0) this.header = null
    return end
  }
}
