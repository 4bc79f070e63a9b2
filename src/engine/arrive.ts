import { resolveTable } from '../catalog/table/read-table.ts'
import { readServer, type ServerModel } from '../catalog/server-model.ts'
import { inSnapshot, type Session } from '../db/session.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { journalExists } from '../journal/journal.ts'
import { OLDEST_VERSION } from '../plan/table/server-objections.ts'
import type { TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import type { EngineOptions } from './options.ts'

/**
 * The first look at the server and the table; a server that cannot be worked with is refused in the plan.
 *
 * @throws {EbbError} when the journal cannot be trusted
 */
export async function arrive(
  session: Session,
  written: WrittenName,
  options: EngineOptions,
): Promise<{ readonly server: ServerModel; readonly name: TableName }> {
  return inSnapshot(session, async () => {
    const server = await readServer(session, options.journalSchema)
    assertSupported(server)
    // Where it may not be used the plan says so; where it cannot be trusted there is none.
    if (server.journalUsable) await journalExists(session, options.journalSchema)
    const { now = server.now } = options
    return { server: { ...server, now }, name: await resolveTable(session, written) }
  })
}

/** What follows asks for columns of the catalogue that older servers do not have. */
function assertSupported(server: ServerModel): void {
  if (server.version >= OLDEST_VERSION) return
  throw new EbbError(
    `this is PostgreSQL ${server.versionText}, and Ebb needs ${OLDEST_VERSION / 10_000} or later`,
    { state: NOTHING_CHANGED, next: 'Update the server first, or partition with other means.' },
    'objections',
  )
}
