import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { readObject } from '../../archive/content/read-object.ts'
import { parseReceipt } from '../../archive/receipt-text.ts'
import { openStore } from '../../archive/stores/open.ts'
import { parseObjectUri, uriOf } from '../../plan/archive/destination.ts'
import type { ArchivedObject, Encoding, Receipt } from '../../plan/archive/receipt.ts'

/** The folder of a receipt. */
export interface OpenArchive {
  receipt(): Promise<Receipt>
  /** The content of an object: it fails at its end at the latest if it is not what was archived. */
  content(object: ArchivedObject, encoding: Encoding, identities: readonly string[]): Promise<Readable>
}

/**
 * Opens the folder of a receipt for the duration of `work`.
 *
 * @param uri of the receipt, absolute
 */
export async function withArchive<T>(uri: string, work: (archive: OpenArchive) => Promise<T>): Promise<T> {
  const { destination, name } = parseObjectUri(uri, '/')
  const store = await openStore(uriOf(destination))
  try {
    return await work({
      receipt: async () => parseReceipt((await buffer(await store.get(name))).toString(), uri),
      content: (object, encoding, identities) => readObject(store, object.name, object, encoding, identities),
    })
  } finally {
    await store.close()
  }
}

/** The receipt at this address. */
export function readReceiptAt(uri: string): Promise<Receipt> {
  return withArchive(uri, (archive) => archive.receipt())
}
