import { readMatchingRelations } from '../catalog/table/matching-relations.ts'
import { resolveTable } from '../catalog/table/read-table.ts'
import { readServer } from '../catalog/server-model.ts'
import type { Session, Target } from '../db/session.ts'
import { inSnapshot } from '../db/transaction.ts'
import { chooseTables, type ChosenTables, type Found } from '../plan/chosen-tables.ts'
import { display } from '../sql/names.ts'
import { isPattern, type TableChoice } from '../sql/table-pattern.ts'
import { readPatiently } from './locks/patiently.ts'
import type { EngineOptions } from './options.ts'
import { readOwnTables } from './runs/own-tables.ts'

/**
 * Finds the tables that were named, and those that patterns match; what a pattern matches besides is told.
 *
 * @throws {UsageError} when a table does not exist, or a pattern matches none
 */
export async function findChosen(
  target: Target,
  choices: readonly TableChoice[],
  options: EngineOptions,
): Promise<ChosenTables> {
  const { journalSchema, observer } = options
  const chosen = await readPatiently(target, 'look for tables', options, (session) =>
    inSnapshot(session, async () => {
      const found: Found[] = []
      for (const choice of choices) found.push(await find(session, choice, journalSchema))
      const { journalUsable } = await readServer(session, journalSchema)
      const own = journalUsable && choices.some(isPattern) ? await readOwnTables(session, journalSchema) : []
      return chooseTables(found, own)
    }),
  )
  for (const { table, reason } of chosen.skipped)
    observer({ table, runId: null, type: 'note', text: `${display(table)} is skipped: ${reason}` })
  return chosen
}

async function find(session: Session, choice: TableChoice, journalSchema: string): Promise<Found> {
  if (!isPattern(choice)) return { table: await resolveTable(session, choice) }
  return { pattern: choice.pattern, matching: await readMatchingRelations(session, choice, journalSchema) }
}
