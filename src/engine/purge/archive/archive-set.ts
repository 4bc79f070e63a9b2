import { isStoreError } from '../../../archive/store-error.ts'
import { underSettings } from '../../../db/settings.ts'
import { EbbError } from '../../../errors.ts'
import { archivesOfRun, type ArchiveEntry, type ReceiptEntry } from '../../../journal/archives.ts'
import { RECEIPT } from '../../../plan/archive/names.ts'
import type { ArchiveSetStep } from '../../../plan/language/step.ts'
import type { ArchiveSetWork } from '../../../plan/purge/archive/work.ts'
import { display } from '../../../sql/names.ts'
import { showRows } from '../../../text/units.ts'
import { archiveRows, type StoredRows } from '../../archive/archive-rows.ts'
import { removeLeftovers } from '../../archive/leftovers.ts'
import { isStored } from '../../archive/stored-receipt.ts'
import { withStore, withTriedStore } from '../../archive/with-store.ts'
import type { RunContext } from '../../table-context.ts'
import { countEntries } from '../check.ts'
import { assertAllEnded } from '../stored/ended.ts'

// A purge archives its rows once. Whatever kills it, the run that goes on first looks for the receipt: with one, the
// set names exactly the archived rows, and a second archive would hold them once more; without one, the objects are
// left over, and the rows are archived anew.

/** Archives the rows of a set, unless that is done. */
export async function archiveSet({ work }: ArchiveSetStep, context: RunContext): Promise<void> {
  await removeLeftovers(context, COMMAND)
  const receipt = (await findReceipt(context)) ?? (await archiveAnew(work, context))
  await assertComplete(context, work, receipt.rows)
}

export const COMMAND = 'purge'

/** The archive of a run that has a receipt. */
export async function archiveOf({ session, journalSchema, runId }: RunContext): Promise<ArchiveEntry | undefined> {
  const archives = await archivesOfRun(session, journalSchema, runId)
  return archives.find(({ receipt }) => receipt !== null)
}

/** @throws {EbbError} if the archive of a run that resumes is no longer stored as it was */
export async function assertStillStored(context: RunContext): Promise<void> {
  const archive = await archiveOf(context)
  if (archive === undefined || archive.receipt === null) return
  const { id, store, receipt } = archive
  if (await withStore(store, context.signal, (place) => isStored(place, id, receipt))) return
  throw new EbbError(
    `the archive ${receipt.uri} is no longer stored as it was: its receipt or an object is missing, or is another one`,
    {
      state: 'No more rows have been deleted.',
      next: `Put it back from a backup, and resume; or end the run with ebb abandon ${context.runId} --execute, and archive the remaining rows by a new purge.`,
    },
  )
}

/** Leaves no doubt whether there is one. */
async function findReceipt(context: RunContext): Promise<ReceiptEntry | null> {
  const { session, journalSchema, runId } = context
  for (const archive of await archivesOfRun(session, journalSchema, runId))
    if (archive.receipt === null) await assertWithoutReceipt(archive, context.signal)
  return (await archiveOf(context))?.receipt ?? null
}

/** Its objects could not be removed; but whether there is a receipt has to be known. */
async function assertWithoutReceipt({ id, store }: ArchiveEntry, signal: AbortSignal): Promise<void> {
  const found = await withStore(store, signal, async (place) => {
    const content = await place.get(`${id}/${RECEIPT}`)
    content.destroy()
    return true
  }).catch((error: unknown) => {
    if (isStoreError(error, 'missing')) return false
    throw error
  })
  if (!found) return
  throw new EbbError(
    `an earlier archive of this run has a receipt in ${store}, which could not be read`,
    { state: 'No row has been deleted.', next: 'Run the same command again: it reads the receipt, and resumes.' },
    'try later',
  )
}

/** Which rows are archived, the list says, whatever others write. */
const LISTED: StoredRows = { fingerprint: null, assertUnchanged: () => Promise.resolve() }

async function archiveAnew(work: ArchiveSetWork, context: RunContext): Promise<ReceiptEntry> {
  const { to, rows, sets, settings, approvedBy, ticket, preparation } = work
  const { entry } = await withTriedStore(to, context.signal, (store) =>
    archiveRows(context, {
      store,
      to,
      command: COMMAND,
      runId: context.runId,
      approvedBy,
      ticket,
      rows,
      settings,
      seal: null,
      ...(sets.some(({ stored }) => stored === true) ? { stored: LISTED } : {}),
      prepare: async (session) => {
        for (const statement of preparation) await underSettings(session, settings, () => session.query(statement))
      },
    }),
  )
  return entry
}

/** @throws {EbbError} unless every row of the sets has been archived */
async function assertComplete(context: RunContext, { sets, rows }: ArchiveSetWork, archived: number): Promise<void> {
  const { session, runId } = context
  await assertAllEnded(context, sets)
  let entries = 0
  for (const keys of sets) entries += await countEntries(session, keys)
  if (entries === archived) return
  throw new EbbError(
    `${showRows(archived)} of ${rows.map(({ table }) => display(table)).join(', ')} are archived, and ${showRows(entries)} would be deleted`,
    {
      state: 'No row has been deleted; the archive stays where it is.',
      next: `End the run with ebb abandon ${runId} --execute, find out who has changed ${sets.map(({ set }) => display(set)).join(', ')}, and start again.`,
    },
  )
}
