import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { objectName } from '../../plan/archive/names.ts'
import type { TableName } from '../../sql/names.ts'
import type { ArchivedColumn, ArchivedObject, ArchivedTable, Encoding } from '../../plan/archive/receipt.ts'
import type { Store } from '../store.ts'
import { CsvParts, type PartMeasures } from './parts.ts'
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
  /** Called for each object when it is stored, in their order. */
  readonly onStored?: (object: ArchivedObject) => void
}

/** What has been written of a table. */
export type Written = Pick<ArchivedTable, 'rows' | 'sha256' | 'objects'>

/**
 * Writes the output of `copy … to stdout (format csv, header)` into objects of a store, in one pass. An object holds
 * whole records after a header of its own. A table without rows gets one object with the header: so its archive is
 * read, verified and restored like any other. While one object is converted and stored to its end, the rows of the
 * next are read already; that one ends when the one before is stored.
 *
 * @throws if anything fails, when nothing is under way any more; objects that have been written before stay, as
 * leftovers without a receipt
 */
export async function writeObjects(store: Store, source: AsyncIterable<Uint8Array>, how: Writing): Promise<Written> {
  const parts = new CsvParts(source, how.partBytes)
  const objects: Promise<ArchivedObject>[] = []
  const failed = new AbortController()
  try {
    for await (const part of parts) {
      const name = objectName(how.table, objects.length + 1, how.encoding)
      const content = new PartContent(part, parts, objects.at(-1), how)
      // One for each: what listens to the signals of several objects would be taken for a leak.
      const signal = AbortSignal.any([how.signal, failed.signal])
      const object = writeObject(store, name, content, { ...how, signal })
      objects.push(object)
      object.catch((reason: unknown) => failed.abort(reason))
      await Promise.race([content.read, Promise.allSettled([object])])
      failed.signal.throwIfAborted()
    }
    const written = await Promise.all(objects)
    return { rows: parts.rows, sha256: parts.digest(), objects: written }
  } finally {
    await Promise.allSettled(objects)
    await parts.close()
  }
}

/** The content of an object, which ends when the object before it is stored. */
class PartContent {
  /** Known at the end. */
  measures: PartMeasures = { rows: 0, bytes: 0, sha256: '' }
  /** Resolves at the end: the next part can be read. */
  readonly read: Promise<void>
  private tell: () => void = () => {}
  private readonly part: AsyncIterable<Uint8Array>
  private readonly parts: CsvParts
  private readonly before: Promise<unknown> | undefined
  private readonly how: Writing

  constructor(part: AsyncIterable<Uint8Array>, parts: CsvParts, before: Promise<unknown> | undefined, how: Writing) {
    this.part = part
    this.parts = parts
    this.before = before
    this.how = how
    this.read = new Promise((resolve) => (this.tell = resolve))
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const { part, parts, how } = this
    for await (const piece of part) {
      how.onProgress?.(parts.rows, parts.bytes)
      yield piece
    }
    this.measures = parts.measures
    await this.before
    this.tell()
  }
}

async function writeObject(
  store: Store,
  name: string,
  part: PartContent,
  { archive, encoding, columns, asText = [], partBytes, signal, onStored }: Writing,
): Promise<ArchivedObject> {
  const stored = new Measured()
  const body = new PassThrough()
  const format = FORMATS[encoding.format]
  const converting = format.write({ columns, asText }, encoding, () => part.measures)
  const steps = [...converting.steps, ...encrypter(encoding.encryption), stored, body]
  const flowing = pipeline([part, ...steps] as never, { signal })
  const put = store.put(`${archive}/${name}`, body, { atMost: mostStored(partBytes * format.growth), signal })
  put.catch((reason: Error) => body.destroy(reason))
  await Promise.all([flowing, put]).catch(() => {})
  const [stopped, flowed] = await Promise.allSettled([put, flowing, converting.close()])
  // The store knows best: who leaves its content ends the flow, too, with an error that says no more than that.
  for (const ended of [stopped, flowed]) if (ended.status === 'rejected') throw ended.reason
  const { rows, bytes, sha256 } = part.measures
  const object = { name, rows, bytes: stored.bytes, sha256: stored.sha256, contentBytes: bytes, contentSha256: sha256 }
  onStored?.(object)
  return object
}

/** PostgreSQL sends no longer row than this. */
const LONGEST_ROW = 1024 ** 3

/** Encryption adds some bytes. */
function mostStored(bytes: number): number {
  return Math.ceil((bytes + LONGEST_ROW) * 1.01) + 64 * 1024
}
