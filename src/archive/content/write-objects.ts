import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { objectName } from '../../plan/archive/names.ts'
import type { TableName } from '../../sql/names.ts'
import type { ArchivedColumn, ArchivedObject, ArchivedTable, Encoding } from '../../plan/archive/receipt.ts'
import type { Store } from '../store.ts'
import { CsvParts } from './parts.ts'
import { encrypter } from './encryption.ts'
import { FORMATS } from './formats.ts'
import { Measured } from './measured.ts'

/** What is written, and how. */
export interface Writing {
  /** The id of the archive (plan/archive/names.ts). */
  readonly archive: string
  readonly table: TableName
  /** In the order of the content. */
  readonly columns: readonly Pick<ArchivedColumn, 'name' | 'type'>[]
  /** Columns that are stored as text, whatever the format has for their type. */
  readonly asText?: readonly string[]
  readonly encoding: Encoding
  /** The size of an object before compression: it ends with the first record that reaches it. */
  readonly partBytes: number
  readonly signal: AbortSignal
  /** Called often, with all rows and bytes so far, before compression. */
  readonly onProgress?: (rows: number, bytes: number) => void
}

/** What has been written of a table. */
export type Written = Pick<ArchivedTable, 'rows' | 'sha256' | 'objects'>

/**
 * Writes the output of `copy … to stdout (format csv, header)` into objects of a store, in one pass. An object holds
 * whole records after a header of its own. A table without rows gets one object with the header: so its archive is
 * read, verified and restored like any other.
 *
 * @throws if anything fails; objects that have been written before stay, as leftovers without a receipt
 */
export async function writeObjects(store: Store, source: AsyncIterable<Uint8Array>, how: Writing): Promise<Written> {
  const parts = new CsvParts(source, how.partBytes)
  const objects: ArchivedObject[] = []
  try {
    for await (const part of parts) {
      const before = parts.rows
      const name = objectName(how.table, objects.length + 1, how.encoding)
      const sizes = await writeObject(store, name, reporting(part, parts, how), how)
      objects.push({ name, rows: parts.rows - before, ...sizes })
    }
  } finally {
    await parts.close()
  }
  return { rows: parts.rows, sha256: parts.digest(), objects }
}

async function* reporting(part: AsyncIterable<Uint8Array>, parts: CsvParts, { onProgress }: Writing) {
  for await (const piece of part) {
    onProgress?.(parts.rows, parts.bytes)
    yield piece
  }
}

async function writeObject(
  store: Store,
  name: string,
  part: AsyncIterable<Uint8Array>,
  { archive, encoding, columns, asText = [], partBytes, signal }: Writing,
): Promise<Omit<ArchivedObject, 'name' | 'rows'>> {
  const content = new Measured()
  const stored = new Measured()
  const body = new PassThrough()
  const format = FORMATS[encoding.format]
  const converting = format.write({ columns, asText }, encoding)
  const steps = [content, ...converting.steps, ...encrypter(encoding.encryption), stored, body]
  const flowing = pipeline([part, ...steps] as never, { signal })
  const put = store.put(`${archive}/${name}`, body, { atMost: mostStored(partBytes * format.growth), signal })
  put.catch((reason: Error) => body.destroy(reason))
  try {
    await Promise.all([flowing, put])
  } finally {
    await Promise.allSettled([flowing, put, converting.close()])
  }
  return {
    bytes: stored.bytes,
    sha256: stored.sha256,
    contentBytes: content.bytes,
    contentSha256: content.sha256,
  }
}

/** PostgreSQL sends no longer row than this. */
const LONGEST_ROW = 1024 ** 3

/** Encryption adds some bytes. */
function mostStored(bytes: number): number {
  return Math.ceil((bytes + LONGEST_ROW) * 1.01) + 64 * 1024
}
