import { inTransaction, readOne, type Session } from '../../db/session.ts'
import { assertLease } from '../../journal/lease.ts'
import type { CopyWork } from '../../plan/copy-work.ts'
import { dualWrites, logOnly, type DualWrites, ROWS_OF_A_TRANSACTION } from '../../plan/dual-writes.ts'
import { quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { Workplace } from '../workplace.ts'

/** From now on each change goes into both tables: the first rows of each transaction, or all of them. */
export async function beginDualWrites(work: CopyWork, place: Workplace, rows: 'some' | 'all'): Promise<void> {
  const { session } = place
  const { deferrable } = await readOne<Pick<DualWrites, 'deferrable'>>(
    session,
    sql`
    select array(select conname::text from pg_constraint
      where conrelid = ${quoted(work.target).text}::regclass and condeferrable and contype in ('u', 'x')) as deferrable`,
  )
  await replace(session, place, dualWrites(work, { deferrable, rows: rows === 'all' ? null : ROWS_OF_A_TRANSACTION }))
}

/** From now on keys go into the log only. By the session that looks around, for the other one may be about to be stopped. */
export async function endDualWrites(work: CopyWork, place: Workplace): Promise<void> {
  await replace(place.control, place, logOnly(work))
}

async function replace(session: Session, { journalSchema, lease }: Workplace, statement: string): Promise<void> {
  await inTransaction(session, {}, async () => {
    await assertLease(session, journalSchema, lease)
    await session.query(statement)
  })
}
