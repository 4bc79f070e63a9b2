import { text as readText } from 'node:stream/consumers'
import { NOTHING_CHANGED } from '../errors.ts'
import type { Receipt } from '../plan/archive/receipt.ts'
import type { StoredRemoval } from '../plan/archive/removal.ts'
import { whileReading } from './archive-error.ts'
import { parseReceipt, receiptDigest } from './receipt-text.ts'
import { openStore } from './stores/open.ts'
import { readRemoval, removalDifferences } from './removal-document.ts'
import { verifyReceipt, type Verification, type Verifying } from './verify-receipt.ts'

/** Where a receipt is. */
export interface ReceiptPlace {
  /** The URI of its folder, below which its objects are. */
  readonly folder: string
  readonly name: string
  readonly uri: string
}

/** An archive that has been verified. */
export interface ArchiveVerification extends Verification {
  readonly receipt: string
  /** Of the receipt itself, to be compared with what the journal or an auditor has recorded. */
  readonly receiptSha256: string
  readonly id: string
  readonly createdAt: string
  readonly tables: readonly { readonly schema: string; readonly name: string; readonly rows: number }[]
  /** What has been removed because of it; null where nothing has been, or that is not recorded. */
  readonly removal: { readonly how: StoredRemoval['how']; readonly rows: number; readonly kept: number } | null
}

/** Verifies an archive by its receipt alone, without the database that the rows came from. */
export function verifyArchive(
  place: ReceiptPlace,
  how: Verifying & { readonly onReceipt?: (receipt: Receipt) => void },
): Promise<ArchiveVerification> {
  return whileReading(NOTHING_CHANGED, () => verify(place, how))
}

async function verify(
  { folder, name, uri }: ReceiptPlace,
  how: Parameters<typeof verifyArchive>[1],
): Promise<ArchiveVerification> {
  const store = await openStore(folder, how.signal)
  try {
    const text = await readText(await store.get(name))
    const receipt = await parseReceipt(text, uri)
    how.onReceipt?.(receipt)
    const tables = receipt.tables.map(({ schema, name, rows }) => ({ schema, name, rows }))
    const { id, createdAt } = receipt
    const removal = await readRemoval(store)
    const { differences, ...verification } = await verifyReceipt(store, '', receipt, how)
    const digest = receiptDigest(text)
    const found = removal === null ? [] : removalDifferences(removal, receipt, digest)
    const base = { receipt: uri, receiptSha256: digest, id, createdAt, tables, removal: summaryOf(removal) }
    return { ...base, ...verification, differences: [...differences, ...found] }
  } finally {
    await store.close()
  }
}

function summaryOf(removal: StoredRemoval | null): ArchiveVerification['removal'] {
  if (removal === null) return null
  const sum = (which: 'deleted' | 'kept') => removal.tables.reduce((total, table) => total + table[which], 0)
  return { how: removal.how, rows: sum('deleted'), kept: sum('kept') }
}
