import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { EbbError } from '../../errors.ts'
import { forgetMoved, releaseMoved } from '../../journal/moved.ts'
import type { Removing } from '../../plan/rotate/moved.ts'
import type { Retirement } from '../../plan/rotate/plan.ts'
import { display, quoted } from '../../sql/names.ts'
import { literal, raw, sql } from '../../sql/sql.ts'
import type { TableContext } from '../table-context.ts'
import { onServer, type Destination } from './destination.ts'
import { isNotHeld, perform, performOther, write, type Leaving, type RetireContext } from './partition-step.ts'
import { stillAsPlanned, type Retired } from './retire.ts'
import { isMarked, lockThere, markOf, readThere, type TableThere } from './table-there.ts'

// Removes a partition that was moved, and whose rows have expired on the other server, too. Invariants:
//
//   - What is there is dropped only if it has the token of the journal in its comment, and no row that is to be kept: asked
//     before anything is changed, and again under its lock.
//   - The foreign table here goes first, and that is durable before the other is dropped: nothing here ever reads a table
//     that is not there. The journal says so in the same transaction, and the next rotation goes on from there.
//   - Nothing waits for the other server while a lock is held here.

/** Removes one, here and there. */
export async function removeMoved(
  retiring: RetireContext,
  destination: Destination,
  { partition, steps }: Retirement,
  removing: Removing,
): Promise<Retired> {
  const { context } = retiring
  const { session, journalSchema } = context
  const [release] = steps
  if (release?.kind !== 'short lock') throw new Error('a moved partition is removed here first')
  await stillAsPlanned(retiring, partition)
  await onServer(destination, context, async () => {
    const found = await readThere(destination.session, removing.moved.there)
    if (found !== undefined) await assertRemovable(destination, removing, found)
  })
  const lock = await perform(retiring, release, {
    check: async () => {
      await stillAsPlanned(retiring, partition)
      await isNotHeld(retiring, partition)
    },
    alongside: () => [
      write(retiring, partition, 'detached'),
      releaseMoved(session, journalSchema, removing.moved.token),
    ],
  })
  await dropThere(retiring, destination, removing)
  return { outcome: 'dropped', lock, receipt: null }
}

const RELEASED = 'Nothing here reads that table any more; it is there, with all its rows.'

/** Drops the table there, which nothing here reads any more. */
export async function dropThere(retiring: RetireContext, destination: Destination, removing: Removing): Promise<void> {
  const { context } = retiring
  const { session, journalSchema } = context
  const leaving = leavingOf(removing)
  await isNotHeld(retiring, leaving)
  await performOther(retiring, removing.drop, (told) => dropMarked(told, destination, removing))
  await inTransaction(session, {}, async () => {
    await write(retiring, leaving, 'dropped')
    await forgetMoved(session, journalSchema, removing.moved.token)
  })
}

function leavingOf({ moved: { there, bounds } }: Removing): Leaving {
  return { oid: '0', name: there, boundsText: bounds, bytes: 0, estimatedRows: null, range: null }
}

function dropMarked(context: TableContext, destination: Destination, removing: Removing): Promise<void> {
  const { session } = destination
  const work = () =>
    inTransaction(session, { local: ['synchronous_commit = on'] }, async () => {
      const found = await lockThere(session, removing.moved.there, 'access exclusive')
      if (found === undefined) return
      await assertRemovable(destination, removing, found)
      for (const statement of removing.drop.statements) await session.query(statement)
    })
  return onServer(destination, context, work, RELEASED)
}

/** @throws {EbbError} if it is not ours, or has rows that are to be kept */
async function assertRemovable(
  { server, session }: Destination,
  { moved: { there, token }, kept }: Removing,
  found: TableThere,
): Promise<void> {
  const [name, place] = [display(there), quoted(there)]
  if (!isMarked(found, [token]))
    throw new EbbError(`${name} on ${server} no longer has the comment by which Ebb knows it`, {
      state: 'It was left as it is, with all its rows.',
      next: `Find out whether another database uses it. If it is what was moved from here, on ${server}: comment on table ${place.text} is ${literal(markOf(token)).text};`,
    })
  if (await hasRows(session, place.text, kept))
    throw new EbbError(`${name} on ${server} has rows that have not expired`, {
      state: 'It was left as it is, with all its rows.',
      next: `Find out who has written them, past the bounds of the partition or with a later time: select * from ${place.text} where ${kept};`,
    })
}

/** Its CHECK of the bounds answers this by itself, if the setting lets it. */
async function hasRows(session: Session, place: string, condition: string): Promise<boolean> {
  await session.query('set constraint_exclusion = on')
  const { found } = await readOne<{ found: boolean }>(
    session,
    sql`select exists (select from ${raw(place)} where ${raw(condition)}) as found`,
  )
  return found
}
