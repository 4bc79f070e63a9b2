import { archivesOfRun, type ReceiptEntry } from '../../journal/archives.ts'
import type { ArchiveStep } from '../../plan/language/step.ts'
import type { RunContext } from '../table-context.ts'
import { archiveRows } from './archive-rows.ts'
import { removeLeftovers } from './leftovers.ts'
import { archivingAgain, withProof } from './stored-rows.ts'
import { isStored } from './stored-receipt.ts'
import { withStore, withTriedStore } from './with-store.ts'

/** An archive of a run with a receipt. */
export interface ArchivedByRun {
  readonly id: string
  readonly receipt: ReceiptEntry
}

/** Archives rows for a run, unless it has done so before it was interrupted. */
export async function archive({ work }: ArchiveStep, context: RunContext): Promise<void> {
  await removeLeftovers(context, work.command)
  if ((await findArchived(context)) !== null) return
  const { command, rows, settings, to } = work
  const order = { to, command, runId: context.runId, approvedBy: null, ticket: null, settings, seal: null }
  await withTriedStore(to, context.signal, (store) =>
    archivingAgain(
      context,
      () => removeLeftovers(context, command),
      () =>
        withProof(context, rows, settings, (proof) =>
          archiveRows(context, { ...order, ...proof, store, rows: [rows] }),
        ),
    ),
  )
}

/** What a run has archived, if its receipt still is where it was stored. */
export async function findArchived({
  session,
  journalSchema,
  runId,
  signal,
}: RunContext): Promise<ArchivedByRun | null> {
  for (const { id, store: uri, receipt } of (await archivesOfRun(session, journalSchema, runId)).reverse())
    if (receipt !== null && (await withStore(uri, signal, (store) => isStored(store, id, receipt))))
      return { id, receipt }
  return null
}
