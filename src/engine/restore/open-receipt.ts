import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { readObject } from '../../archive/content/read-object.ts'
import { EbbError, NOTHING_CHANGED } from '../../errors.ts'
import { parseReceipt } from '../../archive/receipt-text.ts'
import { openStore } from '../../archive/stores/open.ts'
import type { Store } from '../../archive/store.ts'
import { isStoreError } from '../../archive/store-error.ts'
import { REMOVAL } from '../../plan/archive/names.ts'
import type { RowsRemoval } from '../../plan/archive/removal.ts'
import { parseObjectUri, uriOf } from '../../plan/archive/destination.ts'
import type { ArchivedObject, Encoding, Receipt } from '../../plan/archive/receipt.ts'

/** Rows that were archived and not removed. */
export interface Kept {
  readonly columns: readonly string[]
  /** An array of keys in JSON, each an array of texts. */
  readonly keys: string
}

/** The folder of a receipt. */
export interface OpenArchive {
  receipt(): Promise<Receipt>
  /** What was kept when the other rows were removed; null where none was, or nothing has been removed. */
  kept(): Promise<Kept | null>
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
      kept: async () => readKept(store),
      content: (object, encoding, identities) => readObject(store, object.name, object, encoding, identities),
    })
  } finally {
    await store.close()
  }
}

async function readKept(store: Store): Promise<Kept | null> {
  const text = await readOrNull(store, REMOVAL)
  if (text === null) return null
  const { key, keptKeys } = parseRemoval(text, store.uriOf(REMOVAL))
  return keptKeys.length === 0 ? null : { columns: key, keys: JSON.stringify(keptKeys) }
}

async function readOrNull(store: Store, name: string): Promise<string | null> {
  try {
    return (await buffer(await store.get(name))).toString()
  } catch (error) {
    if (isStoreError(error, 'missing')) return null
    throw error
  }
}

type KeptKeys = Pick<RowsRemoval, 'key'> & { readonly keptKeys: readonly (readonly string[])[] }

/** A key without columns would be equal to every other. */
function parseRemoval(text: string, uri: string): KeptKeys {
  try {
    const { key = [], keptKeys } = JSON.parse(text) as Partial<KeptKeys>
    if (keptKeys?.every((one) => one.length === key.length && one.length > 0) === true) return { key, keptKeys }
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error
  }
  throw new EbbError(`${uri} is damaged: which archived rows were kept cannot be read`, {
    state: NOTHING_CHANGED,
    next: 'Take it from a backup of the store, or restore into a new table with a copy of the folder that lacks it.',
  })
}

/** The receipt at this address, and the columns of the keys of kept rows. */
export function readReceiptAt(
  uri: string,
): Promise<{ readonly receipt: Receipt; readonly keptBy: readonly string[] | null }> {
  return withArchive(uri, async (archive) => ({
    receipt: await archive.receipt(),
    keptBy: (await archive.kept())?.columns ?? null,
  }))
}
