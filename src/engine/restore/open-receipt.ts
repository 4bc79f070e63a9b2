import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { readObject } from '../../archive/content/read-object.ts'
import { whileReading } from '../../archive/archive-error.ts'
import { parseReceipt, receiptDigest } from '../../archive/receipt-text.ts'
import { readRemoval } from '../../archive/removal-document.ts'
import { openStore } from '../../archive/stores/open.ts'
import type { StoredRemoval } from '../../plan/archive/removal.ts'
import { parseObjectUri, uriOf } from '../../plan/archive/destination.ts'
import type { ArchivedObject, Encoding, Receipt } from '../../plan/archive/receipt.ts'
import { sameName, type TableName } from '../../sql/names.ts'

/** Rows that were archived and not removed. */
export interface Kept {
  readonly columns: readonly string[]
  /** An array of keys in JSON, each an array of texts. */
  readonly keys: string
}

/** The folder of a receipt. */
export interface OpenArchive {
  /** With the digest of its stored bytes. */
  receipt(): Promise<{ readonly receipt: Receipt; readonly sha256: string }>
  /** What was removed; null where nothing has been. */
  removal(): Promise<StoredRemoval | null>
  /** What of a table was kept when the other rows were removed; null where nothing was. */
  kept(archived: TableName): Promise<Kept | null>
  /** The content of an object: it fails at its end at the latest if it is not what was archived. */
  content(object: ArchivedObject, encoding: Encoding, identities: readonly string[]): Promise<Readable>
}

/**
 * Opens the folder of a receipt for the duration of `work`.
 *
 * @param uri of the receipt, absolute
 */
export function withArchive<T>(
  uri: string,
  signal: AbortSignal | undefined,
  work: (archive: OpenArchive) => Promise<T>,
): Promise<T> {
  return whileReading(NOTHING_IN_PART, () => opened(uri, signal, work))
}

const NOTHING_IN_PART = 'No row is restored before its object has been read to the end and compared with the receipt.'

async function opened<T>(
  uri: string,
  signal: AbortSignal | undefined,
  work: (archive: OpenArchive) => Promise<T>,
): Promise<T> {
  const { destination, name } = parseObjectUri(uri, '/')
  const store = await openStore(uriOf(destination), signal)
  try {
    return await work({
      receipt: async () => {
        const bytes = await buffer(await store.get(name))
        return { receipt: await parseReceipt(bytes.toString(), uri), sha256: receiptDigest(bytes) }
      },
      removal: () => readRemoval(store),
      kept: async (archived) => keptOf(await readRemoval(store), archived),
      content: (object, encoding, identities) => readObject(store, object.name, object, encoding, identities),
    })
  } finally {
    await store.close()
  }
}

/** Of the rows of a table that were archived. */
function keptOf(removal: StoredRemoval | null, archived: TableName): Kept | null {
  const found = removal?.tables.find((one) => sameName(one, archived))
  if (found === undefined || found.keptKeys.length === 0) return null
  return { columns: found.key, keys: JSON.stringify(found.keptKeys) }
}

/** The receipt at this address, and the columns of the keys of kept rows, by table. */
export function readReceiptAt(uri: string, signal?: AbortSignal): Promise<ReadReceipt> {
  return withArchive(uri, signal, async (archive) => {
    const read = await archive.receipt()
    const removal = await archive.removal()
    const unremoved = read.receipt.run.command !== 'archive' && removal === null
    return { ...read, unremoved, keptBy: (archived) => keptOf(removal, archived)?.columns ?? null }
  })
}

export interface ReadReceipt {
  readonly receipt: Receipt
  /** Of the receipt as it is stored. */
  readonly sha256: string
  /** Of a command that removes what it archives, without the document that says what it has removed. */
  readonly unremoved: boolean
  /** Null where none of its rows was kept. */
  readonly keptBy: (archived: TableName) => readonly string[] | null
}
