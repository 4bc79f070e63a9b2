import { inTransaction, readOne, type Session } from '../../db/session.ts'
import { assertLease } from '../../journal/lease.ts'
import type { CopyWork } from '../../plan/copy-work.ts'
import { dualWrites, logOnly, ROWS_OF_A_TRANSACTION } from '../../plan/dual-writes.ts'
import { quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { Workplace } from '../workplace.ts'

/** From now on each change goes into both tables: the first rows of each transaction, or all of them. */
export async function beginDualWrites(work: CopyWork, place: Workplace, rows: 'some' | 'all'): Promise<void> {
  const { virtualColumns } = await readOne<{ virtualColumns: boolean }>(
    place.session,
    sql`select exists (select from pg_attribute where attrelid = ${quoted(work.source).text}::regclass and attgenerated = 'v') as "virtualColumns"`,
  )
  await replace(place.session, place, dualWrites(work, { rows: rows === 'all' ? null : ROWS_OF_A_TRANSACTION, virtualColumns }))
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
