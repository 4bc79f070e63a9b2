import { pipeline } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import { explained } from '../../catalog/explain.ts'
import { inOneGo } from '../../db/in-one-go.ts'
import { takingBack } from '../../db/savepoint.ts'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { putSession, putSessionBack, underSettings } from '../../db/settings.ts'
import { codeOf, isConnectionLost, reasonOf } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import { difference, DifferenceError } from '../../archive/content/difference.ts'
import { assertLease } from '../../journal/lease.ts'
import { addedTo, readRestored, recordRestored, type Restored } from '../../journal/restores.ts'
import type { ArchivedObject } from '../../plan/archive/receipt.ts'
import { readingSettings } from '../../plan/archive/settings.ts'
import type { RestoreStep } from '../../plan/language/step.ts'
import { raw } from '../../sql/sql.ts'
import type { Hooks } from '../steps/perform.ts'
import type { RunContext } from '../table-context.ts'
import { withArchive, type OpenArchive } from './open-receipt.ts'

// Restores objects, mostly one, in one transaction. Invariants:
//
//   - Their content is checked against the receipt as it passes, and a difference, known at its end at the latest, rolls
//     the transaction back.
//   - The journal's entry is in the same transaction, so no object is restored twice.
//   - No row that is there is changed, unless that was asked for.

export async function restoreObjects(step: RestoreStep, context: RunContext, { alongside }: Hooks): Promise<null> {
  const { session, journalSchema, lease, runId } = context
  await withArchive(step.receipt, context.signal, (archive) =>
    inTransaction(session, {}, async () => {
      // A store may be slow, and the lock that this holds blocks nothing.
      await session.query('set local idle_in_transaction_session_timeout = 0')
      const before = await readRestored(session, journalSchema, runId)
      await stageRows(step, context, archive)
      const restored = addedTo(before, await restoreRows(step, session))
      await assertLease(session, journalSchema, lease)
      await inOneGo(session, () => [recordRestored(session, journalSchema, runId, restored), ...alongside()])
    }),
  )
  return null
}

/** Into a temporary table, without those that were kept. */
async function stageRows(step: RestoreStep, { session, identities }: RunContext, archive: OpenArchive): Promise<void> {
  const { statements, leaveOutKept, objects, encoding, selectedOf, settings } = step
  const [create = '', copy = ''] = statements
  await session.query(create)
  const writtenUnder = readingSettings(encoding)
  await putSession(session, writtenUnder)
  for (const [i, object] of objects.entries())
    if (!(await selectsNone(session, selectedOf[i] ?? null, settings)))
      await stage(session, copy, object, await archive.content(object, encoding, identities))
  const kept = leaveOutKept === null ? null : await archive.kept(leaveOutKept.of)
  if (leaveOutKept !== null && kept !== null) await session.query(leaveOutKept.statement, [kept.keys])
  await putSessionBack(session, writtenUnder)
}

/** Whether PostgreSQL can tell, by the groups in the receipt, that no row is selected: then the object need not be read. */
async function selectsNone(
  session: Session,
  query: string | null,
  settings: RestoreStep['settings'],
): Promise<boolean> {
  if (query === null) return false
  const [explanation, ...others] = await takingBack(session, async () => {
    await putSession(session, settings)
    await session.query('set local constraint_exclusion = on')
    return explained(session, raw(query))
  })
  return others.length === 0 && explanation?.Plan['One-Time Filter'] === 'false'
}

async function stage(
  session: Session,
  copy: string,
  object: ArchivedObject,
  content: NodeJS.ReadableStream,
): Promise<void> {
  await pipeline(content, session.query(copyFrom(copy))).catch((error: unknown) => {
    throw isUndecoded(error)
      ? new DifferenceError(object.name, difference('encoding', 'readable', reasonOf(error)), error)
      : error
  })
}

async function restoreRows(step: RestoreStep, session: Session): Promise<Restored> {
  const { statements, overwrites, settings, objects } = step
  const write = async (statement: string | undefined) =>
    (await underSettings(session, settings, () => session.query(statement ?? ''))).rowCount ?? 0
  const overwritten = overwrites ? await write(statements[2]) : 0
  const rows = await write(statements.at(-1))
  const archived = objects.reduce((sum, object) => sum + object.rows, 0)
  return { archived, rows, overwritten, ...(await leftRows(step, session, rows + overwritten)) }
}

type LeftRows = Pick<Restored, 'present' | 'differing' | 'refused' | 'conflicts'>

/** Mostly there are none, and then nothing is compared. */
async function leftRows(step: RestoreStep, session: Session, written: number): Promise<LeftRows> {
  const { selected: count, conflicts, settings, table, keyColumns: columns } = step
  const ask = <Row extends object>(query: string) =>
    underSettings(session, settings, () => readOne<Row>(session, raw(query)))
  const { selected } = await ask<{ selected: number }>(count)
  if (selected === written) return { present: 0, differing: 0, refused: 0, conflicts: [] }
  if (conflicts === null) return { present: null, differing: null, refused: null, conflicts: [] }
  const { keys, ...left } = await ask<Omit<LeftRows, 'conflicts'> & { readonly keys: readonly string[][] }>(conflicts)
  return { ...left, conflicts: keys.map((key) => ({ table, columns, key })) }
}

/** What neither Ebb nor PostgreSQL has raised comes from decompressing: it has met what was never compressed like that. */
function isUndecoded(error: unknown): boolean {
  return !(error instanceof EbbError) && !isConnectionLost(error) && !SQL_ERROR.test(codeOf(error) ?? '')
}

const SQL_ERROR = /^[0-9A-Z]{5}$/
