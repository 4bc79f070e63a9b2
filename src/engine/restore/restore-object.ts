import { pipeline } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import { inOneGo } from '../../db/in-one-go.ts'
import { inTransaction, readOne, type Session } from '../../db/session.ts'
import { putSession, putSessionBack, underSettings } from '../../db/settings.ts'
import { codeOf, isConnectionLost, reasonOf } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import { difference, DifferenceError } from '../../archive/content/difference.ts'
import { assertLease } from '../../journal/lease.ts'
import { addRestored, type Restored } from '../../journal/restores.ts'
import { readingSettings } from '../../plan/archive/settings.ts'
import type { RestoreStep } from '../../plan/language/step.ts'
import { raw } from '../../sql/sql.ts'
import type { Hooks } from '../steps/perform.ts'
import type { RunContext } from '../table-context.ts'
import { withArchive, type Kept } from './open-receipt.ts'

// Restores one object in one transaction. Invariants:
//
//   - Its content is checked against the receipt as it passes, and a difference, known at its end at the latest, rolls
//     the transaction back.
//   - The journal's entry is in the same transaction, so no object is restored twice.
//   - No row that is there is changed.

export async function restoreObject(step: RestoreStep, context: RunContext, { alongside }: Hooks): Promise<null> {
  const { session, journalSchema, lease, runId, identities } = context
  await withArchive(step.receipt, (archive) =>
    inTransaction(session, {}, async () => {
      // A store may be slow, and the lock that this holds blocks nothing.
      await session.query('set local idle_in_transaction_session_timeout = 0')
      const content = await archive.content(step.object, step.encoding, identities)
      const kept = step.leaveOutKept === null ? null : await archive.kept(step.leaveOutKept.of)
      const restored = await restoreRows(step, session, content, kept)
      await assertLease(session, journalSchema, lease)
      await inOneGo(session, () => [addRestored(session, journalSchema, runId, restored), ...alongside()])
    }),
  )
  return null
}

async function restoreRows(
  { statements, settings, leaveOutKept, conflicts, object, encoding }: RestoreStep,
  session: Session,
  content: NodeJS.ReadableStream,
  kept: Kept | null,
): Promise<Restored> {
  const [create = '', copy = '', insert = ''] = statements
  await session.query(create)
  const writtenUnder = readingSettings(encoding)
  await putSession(session, writtenUnder)
  await pipeline(content, session.query(copyFrom(copy))).catch((error: unknown) => {
    throw isUndecoded(error)
      ? new DifferenceError(object.name, difference('encoding', 'readable', reasonOf(error)), error)
      : error
  })
  await putSessionBack(session, writtenUnder)
  if (leaveOutKept !== null && kept !== null) await session.query(leaveOutKept.statement, [kept.keys])
  const { rowCount } = await underSettings(session, settings, () => session.query(insert))
  const rows = rowCount ?? 0
  return {
    archived: object.rows,
    rows,
    differing: conflicts === null ? null : await countDiffering(session, conflicts),
  }
}

/** Rows that were there already, with other values. */
async function countDiffering(session: Session, conflicts: string): Promise<number> {
  const { differing } = await readOne<{ differing: number }>(session, raw(conflicts))
  return differing
}

/** What neither Ebb nor PostgreSQL has raised comes from decompressing: it has met what was never compressed like that. */
function isUndecoded(error: unknown): boolean {
  return !(error instanceof EbbError) && !isConnectionLost(error) && !SQL_ERROR.test(codeOf(error) ?? '')
}

const SQL_ERROR = /^[0-9A-Z]{5}$/
