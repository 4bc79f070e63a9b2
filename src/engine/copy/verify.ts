import { inTransaction, readOne, type Session } from '../../db/session.ts'
import { putSession } from '../../db/settings.ts'
import { EbbError } from '../../errors.ts'
import { sameKey } from '../../plan/copy-key.ts'
import type { CopyWork } from '../../plan/copy-work.ts'
import type { VerifyStep } from '../../plan/step.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { raw, sql, type Sql } from '../../sql/sql.ts'
import type { Workplace } from '../workplace.ts'
import { assertCaptured } from './captured.ts'
import { kept } from './chunk.ts'

interface Digest {
  readonly rows: string
  readonly hash: string
}

/**
 * Counts and hashes both sides in one snapshot, leaving out the keys in the
 * log, whose turn is still to come: exact while everybody writes. Sums of
 * hashes, so the order of rows does not matter.
 *
 * @throws {EbbError} when the sides differ
 */
export async function verify(
  { work, rowExpression }: VerifyStep,
  { session, journalSchema }: Workplace,
): Promise<void> {
  await assertCaptured(session, journalSchema, work)
  await assertSameColumns(work, session)
  const settled = sql`not exists (select from ${quoted(work.capture.log)} l where ${sameKey(work.capture.key, 'l', 's')})`
  const hash = raw(`sum(hash_record_extended(${rowExpression}, 0))::text`)
  const [source, target] = await inTransaction(session, { isolation: 'repeatable read', readOnly: true }, async () => {
    await putSession(session, work.settings)
    return [
      await readOne<Digest>(
        session,
        sql`select count(*)::text as rows, ${hash} as hash from ${quoted(work.source)} s where ${kept(work)} and ${settled}`,
      ),
      await readOne<Digest>(
        session,
        sql`select count(*)::text as rows, ${hash} as hash from ${quoted(work.target)} s where ${settled}`,
      ),
    ] as const
  })
  if (source.rows === target.rows && source.hash === target.hash) return
  await assertSameColumns(work, session)
  throw new EbbError(
    `the copy of ${display(work.source)} is not what it should be: ${source.rows} rows to keep, ${target.rows} rows copied${source.rows === target.rows ? ', with other contents' : ''}`,
    {
      state: 'There has been no swap; the table itself is untouched.',
      next: 'Please report this. Undo the run with ebb abandon.',
    },
  )
}

/**
 * Asked before, for a column that came makes no row different, and after a
 * difference, which is no fault of the copy if somebody has changed a type
 * meanwhile. A column that comes later is noticed under the lock of the swap.
 */
async function assertSameColumns({ source, target }: CopyWork, session: Session): Promise<void> {
  const { same } = await readOne<{ same: boolean }>(
    session,
    sql`select ${columnsOf(source)} = ${columnsOf(target)} as same`,
  )
  if (same) return
  throw new EbbError(`the columns of ${display(source)} have changed since the plan was made`, {
    state: 'There has been no swap; the table itself is untouched.',
    next: 'Undo the run with ebb abandon, and start again: the new plan takes the change into account.',
  })
}

function columnsOf(table: TableName): Sql {
  return sql`array(select format('%s %s', attname, format_type(atttypid, atttypmod)) from pg_attribute
    where attrelid = ${quoted(table).text}::regclass and attnum > 0 and not attisdropped order by attnum)`
}
