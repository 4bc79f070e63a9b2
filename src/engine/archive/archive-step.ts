import { archivesOfRun } from '../../journal/archives.ts'
import type { ArchiveStep } from '../../plan/language/step.ts'
import type { RunContext } from '../table-context.ts'
import { archiveRows } from './archive-rows.ts'
import { removeLeftovers } from './leftovers.ts'
import { withTriedStore } from './with-store.ts'

/** Archives rows for a run, unless it has done so before it was interrupted. */
export async function archive({ work }: ArchiveStep, context: RunContext): Promise<void> {
  const { session, journalSchema, runId } = context
  await removeLeftovers(context, work.command)
  const before = await archivesOfRun(session, journalSchema, runId)
  if (before.some(({ receipt }) => receipt !== null)) return
  const { command, rows, settings, to } = work
  await withTriedStore(to.uri, context.signal, (store) =>
    archiveRows(context, {
      store,
      to,
      command,
      runId,
      approvedBy: null,
      ticket: null,
      rows: [rows],
      settings,
      seal: null,
    }),
  )
}
