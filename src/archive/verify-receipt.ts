import { addAbortSignal } from 'node:stream'
import { finished } from 'node:stream/promises'
import { reasonOf } from '../db/sqlstate.ts'
import { EbbError } from '../errors.ts'
import type { ArchivedObject, ArchivedTable, Encoding, Receipt } from '../plan/archive/receipt.ts'
import type { TableName } from '../sql/names.ts'
import { difference, DifferenceError, type Difference } from './content/difference.ts'
import { UndecipherableError } from './content/encryption.ts'
import { readObject, readStored } from './content/read-object.ts'
import { RowsDigest } from './content/rows-digest.ts'
import { isStoreError } from './store-error.ts'
import type { Store } from './store.ts'

/** What reading all objects of an archive has shown. */
export interface Verification {
  /** Without an identity, of an encrypted archive only what is stored: nothing is decrypted, no row counted. */
  readonly compared: 'content' | 'stored bytes'
  readonly objects: number
  readonly rows: number
  /** As stored. */
  readonly bytes: number
  /** All of them; none if the archive is exactly what its receipt says. */
  readonly differences: readonly FoundDifference[]
}

export interface FoundDifference extends Difference {
  readonly table: TableName
  /** Null if it is about all objects of a table together. */
  readonly object: string | null
}

export interface Verifying {
  /** Of age; none are needed to compare the stored bytes. */
  readonly identities: readonly string[]
  readonly signal: AbortSignal
  /** Called often, with the rows and stored bytes so far, of the object at hand in proportion to what has been read. */
  readonly onProgress?: (rows: number, bytes: number) => void
}

/**
 * Reads every object of an archive from where it is stored, below a folder (`…/`, or nothing for the store itself), and
 * compares it with the receipt.
 *
 * @throws if an object cannot be read for a reason that says nothing about it: no right, no answer, a wrong identity
 */
export async function verifyReceipt(
  store: Store,
  folder: string,
  { tables, encoding }: Receipt,
  how: Verifying,
): Promise<Verification> {
  const compared = encoding.encryption !== null && how.identities.length === 0 ? 'stored bytes' : 'content'
  const differences: FoundDifference[] = []
  let [objects, rows, bytes] = [0, 0, 0]
  for (const table of tables) {
    const found: FoundDifference[] = []
    const note = (object: string | null, all: readonly Difference[]) =>
      found.push(...all.map((one) => ({ table: { schema: table.schema, name: table.name }, object, ...one })))
    const sent = new RowsDigest()
    for (const object of table.objects) {
      const onRead = (share: number) =>
        how.onProgress?.(rows + Math.floor(object.rows * share), bytes + Math.floor(object.bytes * share))
      const name = `${folder}${object.name}`
      note(object.name, await compare({ ...how, store, name, object, encoding, compared, sent, onRead }))
      objects += 1
      rows += object.rows
      bytes += object.bytes
      how.onProgress?.(rows, bytes)
    }
    note(null, countDifference(table))
    if (compared === 'content' && found.length === 0) note(null, digestDifference(table, sent))
    differences.push(...found)
  }
  return { compared, objects, rows, bytes, differences }
}

function countDifference({ rows, objects }: ArchivedTable): Difference[] {
  const counted = objects.reduce((sum, object) => sum + object.rows, 0)
  return difference('rows', rows, counted)
}

function digestDifference({ sha256 }: ArchivedTable, sent: RowsDigest): Difference[] {
  return difference('SHA-256 of the rows', sha256, sent.digest())
}

interface Comparing extends Verifying {
  readonly store: Store
  readonly name: string
  readonly object: ArchivedObject
  readonly encoding: Encoding
  readonly compared: Verification['compared']
  readonly sent: RowsDigest
  /** What share of the object has been read. */
  readonly onRead: (share: number) => void
}

async function compare(comparing: Comparing): Promise<readonly Difference[]> {
  try {
    await (comparing.compared === 'content' ? readContent(comparing) : readBytes(comparing))
    return []
  } catch (error) {
    return differencesOf(error, comparing)
  }
}

async function readContent(comparing: Comparing): Promise<void> {
  const { store, name, object, encoding, identities, signal, sent, onRead } = comparing
  sent.nextObject()
  let read = 0
  for await (const chunk of (await readObject(store, name, object, encoding, identities)) as AsyncIterable<Buffer>) {
    signal.throwIfAborted()
    sent.add(chunk)
    onRead(shareOf((read += chunk.length), object.contentBytes))
  }
}

async function readBytes({ store, name, object, signal, onRead }: Comparing): Promise<void> {
  const stored = addAbortSignal(signal, await readStored(store, name, object))
  let read = 0
  stored.on('data', (chunk: Buffer) => onRead(shareOf((read += chunk.length), object.bytes)))
  await finished(stored)
}

/** A damaged object may be longer than it should be. */
function shareOf(read: number, whole: number): number {
  return Math.min(1, read / whole)
}

async function differencesOf(error: unknown, comparing: Comparing): Promise<readonly Difference[]> {
  if (comparing.signal.aborted) throw error
  if (error instanceof DifferenceError) return error.differences
  if (isStoreError(error, 'missing')) return difference('object', 'there', 'missing')
  if (isStoreError(error, 'damaged')) return difference('object', 'whole', reasonOf(error))
  if (error instanceof EbbError && !(error instanceof UndecipherableError)) throw error
  // It could not be decoded before its end: what is stored tells whether that is its fault.
  const stored = await compare({ ...comparing, compared: 'stored bytes' })
  if (stored.length === 0 && error instanceof UndecipherableError) throw error
  return [...stored, ...difference('encoding', 'readable', reasonOf(error))]
}
