import { open, type FileHandle } from 'node:fs/promises'
import { MOST_ROW_BYTES } from '../../../plan/archive/parquet/statements.ts'
import { CsvRecords } from '../csv-records.ts'
import { rowTooWide } from './errors.ts'
import { leftOpen } from './left-open.ts'
import type { Scratch } from './scratch.ts'

/** A file ends with the first record that reaches this. */
const FILE_BYTES = 8 * 2 ** 20

/**
 * Writes CSV into files of whole records, and returns them and the header, which is in none. DuckDB has up to 2,048 rows
 * of a file in memory at a time: as the files are small, that is little, however wide the rows are.
 *
 * @throws {EbbError} at the first row that is too wide
 */
export async function spool(
  source: AsyncIterable<Uint8Array>,
  scratch: Scratch,
): Promise<{ readonly header: string; readonly files: readonly string[] }> {
  const records = new CsvRecords()
  const header: Uint8Array[] = []
  const files = new Files(scratch)
  try {
    for await (const chunk of leftOpen(source))
      for (let rest = chunk; rest.length > 0;) {
        const inHeader = records.count === 0
        const end = records.through(rest, inHeader ? 0 : files.room)
        const piece = rest.subarray(0, end)
        rest = rest.subarray(end)
        if (inHeader) header.push(piece)
        else await files.write(piece, records)
      }
    await files.end()
  } finally {
    await files.close()
  }
  return { header: Buffer.concat(header).toString(), files: files.names }
}

/** Writes bytes into one file. */
export async function spoolBytes(source: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    for await (const chunk of leftOpen(source)) await file.write(chunk)
  } finally {
    await file.close()
  }
}

class Files {
  readonly names: string[] = []
  private readonly scratch: Scratch
  private file: FileHandle | null = null
  private bytes = 0
  /** Of the record that has not ended; of the piece, if one has ended in it. */
  private recordBytes = 0
  private count = 0

  constructor(scratch: Scratch) {
    this.scratch = scratch
  }

  /** How much more the file takes. */
  get room(): number {
    return FILE_BYTES - this.bytes
  }

  async write(piece: Uint8Array, { whole, count }: CsvRecords): Promise<void> {
    this.recordBytes = piece.length + (count > this.count ? 0 : this.recordBytes)
    this.count = count
    if (this.recordBytes > MOST_ROW_BYTES) throw rowTooWide()
    this.file ??= await this.begin()
    await this.file.write(piece)
    this.bytes += piece.length
    if (this.bytes >= FILE_BYTES && whole) await this.close()
  }

  /** Of no rows there is a file, too, which is empty. */
  async end(): Promise<void> {
    if (this.names.length === 0) this.file = await this.begin()
    await this.close()
  }

  async close(): Promise<void> {
    const { file } = this
    this.file = null
    this.bytes = 0
    await file?.close()
  }

  private async begin(): Promise<FileHandle> {
    const name = await this.scratch.path(`rows-${String(this.names.length + 1).padStart(5, '0')}.csv`)
    this.names.push(name)
    return open(name, 'wx', 0o600)
  }
}
