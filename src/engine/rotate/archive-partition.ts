import type { Store } from '../../archive/store.ts'
import { archivesOfRelation, type ReceiptEntry } from '../../journal/archives.ts'
import type { Archiving } from '../../plan/rotate/archiving.ts'
import type { LockTimes } from '../../events.ts'
import { archiveRows } from '../archive/archive-rows.ts'
import { readFingerprint, withProof } from '../archive/stored-rows.ts'
import { isStored } from '../archive/stored-receipt.ts'
import { perform, performOther, type Leaving, type RetireContext } from './partition-step.ts'
import { readSeal } from './seal.ts'

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
  const lock = guard === null ? null : await perform(retiring, guard, { alongside: () => [] })
  const { command, rows, settings, to } = archive.work
  const nobody = { runId: null, approvedBy: null, ticket: null }
  const archived = await performOther(retiring, archive, (context) =>
    withProof(context, rows, settings, async (proof) => {
      // Before the snapshot: whatever changes from here on gives another seal, or leaves a mark.
      const seal = proof.stored?.fingerprint ?? (await readSealOf(retiring, partition))
      const order = { store, to, command, ...nobody, rows: [rows], settings, seal, ...proof } as const
      return { seal, ...(await archiveRows(context, order)) }
    }),
  )
  return { id: archived.id, ...archived.entry, seal: archived.seal, lock }
}

/** Of a partition that Citus stores, whose shards no trigger watches, it is a fingerprint of its rows. */
async function readSealOf({ context, set }: RetireContext, { oid, name }: Leaving): Promise<string> {
  const { session, journalSchema } = context
  if (set.citus === undefined) return readSeal(session, journalSchema, oid)
  return (await readFingerprint(session, name, set.citus)).fingerprint
}

/** Whether it is as it was archived. Under a lock that keeps writers away, on all nodes, it stays so. */
export async function isAsArchived(retiring: RetireContext, partition: Leaving, seal: string): Promise<boolean> {
  return (await readSealOf(retiring, partition)) === seal
}

/** What an earlier rotation has archived, if the receipt is still in this store and the partition as it was. */
async function archivedBefore(
  retiring: RetireContext,
  store: Store,
  partition: Leaving,
): Promise<ArchivedPartition | null> {
  const { context } = retiring
  const { session, journalSchema } = context
  for (const { id, seal, receipt, store: uri } of await archivesOfRelation(session, journalSchema, partition.oid)) {
    if (seal === null || receipt === null || uri !== store.uri) continue
    if (!(await isAsArchived(retiring, partition, seal))) continue
    if (await isStored(store, id, receipt)) return { id, ...receipt, seal, lock: null }
  }
  return null
}
