import type { Store } from '../../archive/store.ts'
import { archivesOfRelation, type ReceiptEntry } from '../../journal/archives.ts'
import type { Archiving } from '../../plan/rotate/archiving.ts'
import type { LockTimes } from '../../events.ts'
import { archiveRows } from '../archive/archive-rows.ts'
import { isStored } from '../archive/stored-receipt.ts'
import { perform, performOther, type Leaving, type RetireContext } from './partition-step.ts'
import { isAsArchived, readSeal } from './seal.ts'

/** An archive of all rows of a partition, and what it was like. */
export interface ArchivedPartition extends ReceiptEntry {
  readonly id: string
  readonly seal: string
  readonly lock: LockTimes | null
}

/** Archives a detached partition, unless an interrupted rotation has done so and it has not changed since. */
export async function archivePartition(
  retiring: RetireContext,
  store: Store,
  partition: Leaving,
  { guard, archive }: Archiving,
): Promise<ArchivedPartition> {
  const before = await archivedBefore(retiring, store, partition)
  if (before !== null) return before
  const lock = await perform(retiring, guard, { alongside: () => [] })
  // Before the snapshot: whatever changes from here on gives another seal, or leaves a mark.
  const { session, journalSchema } = retiring.context
  const seal = await readSeal(session, journalSchema, partition.oid)
  const { command, rows, settings, to } = archive.work
  const nobody = { runId: null, approvedBy: null, ticket: null }
  const { id, entry } = await performOther(retiring, archive, (context) =>
    archiveRows(context, { store, to, command, ...nobody, rows: [rows], settings, seal }),
  )
  return { id, ...entry, seal, lock }
}

/** What an earlier rotation has archived, if the receipt is still in this store and the partition as it was. */
async function archivedBefore(
  { context }: RetireContext,
  store: Store,
  { oid }: Leaving,
): Promise<ArchivedPartition | null> {
  const { session, journalSchema } = context
  for (const { id, seal, receipt, store: uri } of await archivesOfRelation(session, journalSchema, oid)) {
    if (seal === null || receipt === null || uri !== store.uri) continue
    if (!(await isAsArchived(session, journalSchema, oid, seal))) continue
    if (await isStored(store, id, receipt)) return { id, ...receipt, seal, lock: null }
  }
  return null
}
