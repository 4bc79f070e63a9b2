import { openSession, type Session, type Address } from '../db/session.ts'
import type { EngineOptions } from '../engine/options.ts'
import { migrationTable, type MigrationJournal } from '../journal/migration-files.ts'

/** With what migrations are run. */
export interface Migrating {
  readonly target: Address
  readonly options: EngineOptions
  readonly journal: MigrationJournal
}

/** A session with the settings of its role and database instead of ours. */
export async function openAsUser(target: Address): Promise<Session> {
  const session = await openSession(target, 'migration')
  await session.query('reset all')
  return session
}

/** Says what migrations do. */
export function tell({ options, journal }: Migrating, text: string): void {
  options.observer({ table: migrationTable(journal.schema), runId: null, type: 'note', text })
}
