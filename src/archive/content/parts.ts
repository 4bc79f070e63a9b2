import { createHash } from 'node:crypto'
import { EbbError, NOTHING_CHANGED } from '../../errors.ts'
import { CsvRecords } from './csv-records.ts'

/** What a part is, with its header. */
export interface PartMeasures {
  readonly rows: number
  readonly bytes: number
  readonly sha256: string
}

/**
 * The output of `copy … to stdout (format csv, header)`, cut into parts that each begin with the header and end with a
 * record. An empty chunk, which may come between two records, ends a part, too. Nothing is kept but one chunk and the header, however long a record is.
 */
export class CsvParts {
  /** Bytes so far, the header once. */
  bytes = 0
  /** Of the part that was read to its end last. */
  measures: PartMeasures = { rows: 0, bytes: 0, sha256: '' }
  private readonly chunks: AsyncIterator<Uint8Array>
  private readonly partBytes: number
  private readonly hash = createHash('sha256')
  private readonly records = new CsvRecords()
  private header: Buffer = Buffer.alloc(0)
  /** What has been read and belongs to the next part. */
  private rest: Uint8Array = Buffer.alloc(0)
  /** A part ends before that. */
  private cut = false

  /** @param partBytes a part ends with the first record that reaches this size */
  constructor(source: AsyncIterable<Uint8Array>, partBytes: number) {
    this.chunks = source[Symbol.asyncIterator]()
    this.partBytes = partBytes
  }

  /** Rows so far. */
  get rows(): number {
    return Math.max(0, this.records.count - 1)
  }

  /** SHA-256 of everything that came, the header once; ask when the last part has been read. */
  digest(): string {
    return this.hash.digest('hex')
  }

  /** The parts, each to be read to its end before the next; of no rows, one with the header alone. */
  async *[Symbol.asyncIterator](): AsyncGenerator<AsyncGenerator<Uint8Array>> {
    await this.readHeader()
    do yield this.part()
    while (this.rest.length > 0 || (await this.read()))
    if (!this.records.whole) throw endedWithinARecord()
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    await this.chunks.return?.()
  }

  private async readHeader(): Promise<void> {
    const pieces = []
    while (this.records.count === 0) {
      if (!(await this.read())) throw endedWithinARecord()
      pieces.push(this.take(0))
    }
    this.header = Buffer.concat(pieces)
  }

  private async *part(): AsyncGenerator<Uint8Array> {
    const before = this.rows
    // The first part is everything so far: for many tables the only one, which is digested once.
    const later = before === 0 ? null : createHash('sha256').update(this.header)
    yield this.header
    let bytes = this.header.length
    this.cut = false
    while (this.rest.length > 0 || (await this.read())) {
      if (this.cut && bytes > this.header.length) break
      const piece = this.take(this.partBytes - bytes)
      later?.update(piece)
      yield piece
      bytes += piece.length
      if (bytes >= this.partBytes && this.records.whole) break
    }
    this.measures = { rows: this.rows - before, bytes, sha256: (later ?? this.hash.copy()).digest('hex') }
  }

  private async read(): Promise<boolean> {
    do {
      const next = await this.chunks.next()
      if (next.done === true) return false
      this.rest = next.value
      if (this.rest.length === 0) this.cut = true
    } while (this.rest.length === 0)
    return true
  }

  /** Takes what has been read, up to the end of the first record that ends at `least` or after it. */
  private take(least: number): Uint8Array {
    const end = this.records.through(this.rest, least)
    const taken = this.rest.subarray(0, end)
    this.rest = this.rest.subarray(end)
    this.hash.update(taken)
    this.bytes += taken.length
    return taken
  }
}

function endedWithinARecord(): EbbError {
  return new EbbError('the rows to archive ended within a record', {
    state: NOTHING_CHANGED,
    next: 'Run the same command again.',
  })
}
