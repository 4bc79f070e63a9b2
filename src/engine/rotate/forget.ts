import { readRunway } from '../../catalog/partitions/runway.ts'
import { resolveTable } from '../../catalog/table/read-table.ts'
import { withSession, type Session, type Target } from '../../db/session.ts'
import { inSnapshot, inTransaction } from '../../db/transaction.ts'
import { UsageError } from '../../errors.ts'
import { journalExists } from '../../journal/journal.ts'
import { migrateJournal } from '../../journal/migrate.ts'
import { begunRetirements } from '../../journal/rotations.ts'
import { forgetMissing, forgetSet, registeredSets, type RegisteredSet } from '../../journal/sets.ts'
import type { RotateRequest } from '../../plan/rotate/request.ts'
import type { ForgottenSet } from '../../plan/rotate/rotate.ts'
import { display, sameName, type TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { readPatiently } from '../locks/patiently.ts'
import type { EngineOptions } from '../options.ts'

/** Unregisters those that still do not exist, and returns them. */
export async function forgetDropped(
  target: Target,
  missing: readonly RegisteredSet[],
  { journalSchema }: EngineOptions,
): Promise<RegisteredSet[]> {
  return withSession(target, 'rotate', async (session) => {
    await migrateJournal(session, journalSchema)
    const forgotten: RegisteredSet[] = []
    for (const set of missing) if (await forgetMissing(session, journalSchema, set.table)) forgotten.push(set)
    return forgotten
  })
}

/**
 * Unregisters tables on request, and returns them.
 *
 * @throws {UsageError} when one is not registered
 */
export async function forgetAsked(
  target: Target,
  request: RotateRequest,
  options: EngineOptions,
): Promise<RegisteredSet[]> {
  const sets = await readPatiently(target, 'plan rotate', options, (session) =>
    readForgotten(session, request, options),
  )
  const { journalSchema } = options
  await withSession(target, 'rotate', async (session) => {
    await migrateJournal(session, journalSchema)
    await inTransaction(session, {}, async () => {
      for (const { table } of sets) await forgetSet(session, journalSchema, table)
    })
  })
  return sets
}

/**
 * The registered sets that are to be forgotten.
 *
 * @throws {UsageError} when one is not registered
 */
export async function readForgotten(
  session: Session,
  { tables: written }: RotateRequest,
  { journalSchema }: EngineOptions,
): Promise<(RegisteredSet & ForgottenSet)[]> {
  return inSnapshot(session, async () => {
    const registered = (await journalExists(session, journalSchema)) ? await registeredSets(session, journalSchema) : []
    const found: (RegisteredSet & ForgottenSet)[] = []
    for (const name of written === 'all' ? [] : written) {
      const table = await nameOf(session, name)
      const set = registered.find((one) => sameName(one.table, table))
      if (set === undefined) throw notRegistered(table, journalSchema)
      const runway = set.exists ? await readRunway(session, table, set.policy) : null
      const begun = await begunRetirements(session, journalSchema, table)
      found.push({
        ...set,
        until: runway?.state === 'ends' ? runway.until : null,
        detached: begun.flatMap(({ partition, state }) => (state === 'detached' ? [partition] : [])),
      })
    }
    return found
  })
}

/** A table that was dropped has the name that was written. */
async function nameOf(session: Session, written: WrittenName): Promise<TableName> {
  return resolveTable(session, written).catch((error: unknown) => {
    if (written.schema === null || !(error instanceof UsageError)) throw error
    return { schema: written.schema, name: written.name }
  })
}

function notRegistered(table: TableName, journalSchema: string): UsageError {
  return new UsageError(
    `${display(table)} is not managed by rotate, according to the journal in schema ${journalSchema}`,
    'ebb status lists the tables that are.',
  )
}
