import { readOnePrepared } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { assertLease } from '../../journal/lease.ts'
import { gapOf } from '../../plan/copy/capture.ts'
import type { CopyWork } from '../../plan/copy/work.ts'
import { dualWrites, logOnly, ROWS_OF_A_TRANSACTION } from '../../plan/copy/dual-writes.ts'
import { quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { TableContext } from '../table-context.ts'

/**
 * From now on each change is written to both tables: the first rows of each transaction, or all of them. False if
 * that is impossible: rules and triggers of the target would redirect the application's writes, and cannot be
 * disabled meanwhile; and a capture of an earlier version has another function.
 */
export async function beginDualWrites(work: CopyWork, context: TableContext, rows: 'some' | 'all'): Promise<boolean> {
  const { session } = context
  const { possible, deferrable } = await readOnePrepared<{ possible: boolean; deferrable: string[] }>(
    session,
    sql`
    select to_regclass(${quoted(gapOf(work.capture)).text}) is not null
        and not exists (select from pg_trigger where tgrelid = t.oid and not tgisinternal and tgenabled <> 'D')
        and not exists (select from pg_rewrite where ev_class = t.oid and ev_enabled <> 'D') as possible,
      array(select conname::text from pg_constraint where conrelid = t.oid and condeferrable and contype in ('u', 'x')) as deferrable
    from (select ${quoted(work.target).text}::regclass as oid) t`,
  )
  if (possible)
    await replace(
      session,
      context,
      dualWrites(work, { deferrable, rows: rows === 'all' ? null : ROWS_OF_A_TRANSACTION }),
    )
  return possible
}

/** From now on keys are only logged. Uses the monitoring session, because the working one may be cancelled. */
export async function endDualWrites(work: CopyWork, context: TableContext): Promise<void> {
  await replace(context.control, context, logOnly(work))
}

/** Need not be durable: whatever relies on it comes later in the WAL. */
async function replace(session: Session, { journalSchema, lease }: TableContext, statement: string): Promise<void> {
  await inTransaction(session, { local: ['synchronous_commit = off'] }, async () => {
    await assertLease(session, journalSchema, lease)
    await session.query(statement)
  })
}
