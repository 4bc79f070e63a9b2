import { text as readText } from 'node:stream/consumers'
import { parseReceipt, receiptDigest } from '../../archive/receipt-text.ts'
import { isStoreError } from '../../archive/store-error.ts'
import type { Store } from '../../archive/store.ts'
import { isConnectionLost, reasonOf } from '../../db/sqlstate.ts'
import { forgetArchive, recordReceipt, unfinishedArchives, type ArchiveEntry } from '../../journal/archives.ts'
import { RECEIPT } from '../../plan/archive/names.ts'
import type { TableContext } from '../table-context.ts'
import { sumOf } from './sum-of.ts'
import { withStore } from './with-store.ts'

// What interrupted archives of a command on this table have left in their stores, wherever these are. No other run can be
// at work on them: this one has the lease.

/** Removes it. What cannot be removed stays known to the journal, and is tried again by the next run. */
export async function removeLeftovers(context: TableContext, command: string): Promise<void> {
  const { session, journalSchema, lease, observer } = context
  for (const entry of await unfinishedArchives(session, journalSchema, lease.table, command)) {
    try {
      await withStore(entry.store, context.signal, (store) => settle(context, store, entry))
    } catch (error) {
      if (context.signal.aborted || isConnectionLost(error)) throw error
      observer({ type: 'note', text: `what archive ${entry.id} has left in ${entry.store} stays: ${reasonOf(error)}` })
    }
  }
}

/** An archive with a receipt is complete: it was interrupted before the journal was told. */
async function settle(context: TableContext, store: Store, entry: ArchiveEntry): Promise<void> {
  const { session, journalSchema, observer } = context
  const folder = `${entry.id}/`
  const names: string[] = []
  for await (const { name } of store.list(folder)) names.push(name)
  if (names.includes(`${folder}${RECEIPT}`)) return adopt(context, store, entry)
  for (const name of names) await store.remove(name)
  await discardUnfinished(store, entry.id)
  await forgetArchive(session, journalSchema, entry.id)
  observer({ type: 'note', text: `removed what the interrupted archive ${entry.id} had left in ${entry.store}` })
}

async function adopt({ session, journalSchema }: TableContext, store: Store, { id }: ArchiveEntry): Promise<void> {
  const name = `${id}/${RECEIPT}`
  const uri = store.uriOf(name)
  const text = await readText(await store.get(name))
  const { tables } = await parseReceipt(text, uri)
  await recordReceipt(session, journalSchema, id, { uri, sha256: receiptDigest(text), ...sumOf(tables) })
  await discardUnfinished(store, id)
}

async function discardUnfinished(store: Store, id: string): Promise<void> {
  for await (const begun of store.unfinished(`${id}/`)) await store.discard(begun)
}

/**
 * What a killed process has begun to store beside a receipt, and not ended. Who archives objects of less than 5 MiB need not
 * be allowed to list it, and then leaves it to the rules of the bucket.
 */
export async function discardBesideReceipt(store: Store, id: string): Promise<void> {
  await discardUnfinished(store, id).catch((error: unknown) => {
    if (!isStoreError(error, 'denied')) throw error
  })
}
