import { buffer } from 'node:stream/consumers'
import { receiptDigest } from '../../archive/receipt-text.ts'
import { isStoreError } from '../../archive/store-error.ts'
import type { Store } from '../../archive/store.ts'
import type { ReceiptEntry } from '../../journal/archives.ts'
import { RECEIPT } from '../../plan/archive/names.ts'

/** Whether the receipt that the journal knows of an archive is in this store, unchanged. */
export async function isStored(store: Store, id: string, { sha256 }: Pick<ReceiptEntry, 'sha256'>): Promise<boolean> {
  try {
    return receiptDigest(await buffer(await store.get(`${id}/${RECEIPT}`))) === sha256
  } catch (error) {
    if (isStoreError(error, 'missing')) return false
    throw error
  }
}
