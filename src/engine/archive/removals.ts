import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { isStoreError } from '../../archive/store-error.ts'
import type { Store } from '../../archive/store.ts'
import { isConnectionLost, reasonOf } from '../../db/sqlstate.ts'
import { recordRemovalWritten, untoldRemovals, type ArchiveEntry } from '../../journal/archives.ts'
import { REMOVAL } from '../../plan/archive/names.ts'
import type { TableContext } from '../table-context.ts'
import { discardBesideReceipt } from './leftovers.ts'
import { withStore } from './with-store.ts'

/**
 * Stores the removal documents of what has been removed, also those that an interrupted run of the command has not
 * stored. The rows are gone: if it fails, the next run tries again.
 */
export async function storeRemovals(context: TableContext, command: string): Promise<void> {
  const { session, journalSchema, lease, observer, signal } = context
  for (const entry of await untoldRemovals(session, journalSchema, lease.table, command)) {
    try {
      await withStore(entry.store, signal, (store) => storeRemoval(context, store, entry))
    } catch (error) {
      if (signal.aborted || isConnectionLost(error)) throw error
      observer({
        type: 'note',
        text: `the removal document of archive ${entry.id} is not stored yet: ${reasonOf(error)}`,
      })
    }
  }
}

async function storeRemoval(
  { session, journalSchema, signal }: TableContext,
  store: Store,
  { id, removal }: ArchiveEntry,
): Promise<void> {
  const name = `${id}/${REMOVAL}`
  const content = Buffer.from(`${JSON.stringify(removal, null, 2)}\n`)
  await discardBesideReceipt(store, id)
  try {
    await store.put(name, Readable.from([content]), { atMost: content.length, signal })
  } catch (error) {
    // Stored, and the journal was not told.
    if (!isStoreError(error, 'exists') || !content.equals(await buffer(await store.get(name)))) throw error
  }
  await recordRemovalWritten(session, journalSchema, id)
}
