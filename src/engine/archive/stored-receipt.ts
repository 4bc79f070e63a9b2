import { buffer } from 'node:stream/consumers'
import { problemsOf } from '../../archive/list-archives.ts'
import { parseReceipt, receiptDigest } from '../../archive/receipt-text.ts'
import { isStoreError } from '../../archive/store-error.ts'
import type { Store, StoredObject } from '../../archive/store.ts'
import type { ReceiptEntry } from '../../journal/archives.ts'
import { RECEIPT } from '../../plan/archive/names.ts'

/**
 * Whether the receipt that the journal knows of an archive is in this store, unchanged, with all its objects, by their
 * sizes: weeks may have passed since they were read back, in which a lifecycle rule or somebody has removed some.
 */
export async function isStored(store: Store, id: string, { sha256 }: Pick<ReceiptEntry, 'sha256'>): Promise<boolean> {
  const name = `${id}/${RECEIPT}`
  try {
    const bytes = await buffer(await store.get(name))
    if (receiptDigest(bytes) !== sha256) return false
    const receipt = await parseReceipt(bytes.toString(), store.uriOf(name))
    const objects: StoredObject[] = []
    for await (const object of store.list(`${id}/`)) objects.push(object)
    return problemsOf(receipt, id, objects).length === 0
  } catch (error) {
    if (isStoreError(error, 'missing')) return false
    throw error
  }
}
