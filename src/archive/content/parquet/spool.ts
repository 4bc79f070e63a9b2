import { open, type FileHandle } from 'node:fs/promises'
import { MOST_ROW_BYTES, type SpooledFile } from '../../../plan/archive/parquet/statements.ts'
import { CsvRecords } from '../csv-records.ts'
import { rowTooWide } from './errors.ts'
import { leftOpen } from './left-open.ts'
import { onTemporary, type Scratch } from './scratch.ts'

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
): Promise<{ readonly header: string; readonly files: readonly SpooledFile[] }> {
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
  return { header: Buffer.concat(header).toString(), files: files.closed }
}

/** Writes bytes into one file. */
export async function spoolBytes(source: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  const file = await create(path)
  try {
    for await (const chunk of leftOpen(source)) await append(file, chunk)
  } finally {
    await file.close()
  }
}

function create(path: string): Promise<FileHandle> {
  return onTemporary('made', () => open(path, 'wx', 0o600))
}

/** All of it: a single write may end early where the file system is full, without an error. */
function append(file: FileHandle, bytes: Uint8Array): Promise<void> {
  return onTemporary('written', () => file.appendFile(bytes))
}

class Files {
  readonly closed: SpooledFile[] = []
  private readonly scratch: Scratch
  private file: { readonly path: string; readonly handle: FileHandle; bytes: number; rows: number } | null = null
  /** Of the record that has not ended; of the piece, if one has ended in it. */
  private recordBytes = 0
  /** Records that have ended, the header among them. */
  private count = 1

  constructor(scratch: Scratch) {
    this.scratch = scratch
  }

  /** How much more the file takes. */
  get room(): number {
    return FILE_BYTES - (this.file?.bytes ?? 0)
  }

  async write(piece: Uint8Array, { whole, count }: CsvRecords): Promise<void> {
    this.recordBytes = piece.length + (count > this.count ? 0 : this.recordBytes)
    if (this.recordBytes > MOST_ROW_BYTES) throw rowTooWide()
    const file = (this.file ??= await this.begin())
    await append(file.handle, piece)
    file.bytes += piece.length
    file.rows += count - this.count
    this.count = count
    if (file.bytes >= FILE_BYTES && whole) await this.close()
  }

  /** Of no rows there is a file, too, which is empty. */
  async end(): Promise<void> {
    if (this.closed.length === 0) this.file ??= await this.begin()
    await this.close()
  }

  async close(): Promise<void> {
    const { file } = this
    this.file = null
    if (file === null) return
    const { handle, path, bytes, rows } = file
    this.closed.push({ path, bytes, rows })
    await handle.close()
  }

  private async begin() {
    const path = await this.scratch.path(`rows-${String(this.closed.length + 1).padStart(5, '0')}.csv`)
    return { path, handle: await create(path), bytes: 0, rows: 0 }
  }
}
