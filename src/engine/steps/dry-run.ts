import { readOne } from '../../db/query.ts'
import { isOfTheMoment } from '../../db/sqlstate.ts'
import { EbbError, messageOf } from '../../errors.ts'
import type { DryRunStep } from '../../plan/language/step.ts'
import { sql } from '../../sql/sql.ts'
import type { TableContext } from '../table-context.ts'

/**
 * The function of PostgreSQL that reports "partition constraint … is implied by existing constraints": unlike the
 * message it is not translated.
 */
const IMPLIED = 'QueuePartitionConstraintValidation'

/**
 * Performs the step and rolls it back.
 *
 * @throws {EbbError} if the last statement, the attach, would build an index, would scan the rows, or fails
 */
export async function dryRun(step: DryRunStep, { session }: TableContext): Promise<void> {
  const preparations = step.statements.slice(0, -1)
  const attach = step.statements.at(-1) ?? ''
  const routines: (string | undefined)[] = []
  const listen = (notice: { readonly routine?: string | undefined }) => void routines.push(notice.routine)
  await session.query('begin')
  session.on('notice', listen)
  try {
    for (const statement of preparations) await session.query(statement)
    const before = await twinIndexes(session)
    await session.query('set local client_min_messages = debug1')
    await session.query(attach)
    await session.query('set local client_min_messages = warning')
    if ((await twinIndexes(session)) !== before) throw failed('attaching would build an index under lock')
    if (!routines.includes(IMPLIED)) throw failed('attaching would scan the whole table under lock')
  } catch (error) {
    if (error instanceof EbbError || isOfTheMoment(error)) throw error
    throw failed(messageOf(error), error)
  } finally {
    session.off('notice', listen)
    await session.query('rollback').catch(() => {}) // after a lost connection the server has rolled back
  }
}

async function twinIndexes(session: TableContext['session']): Promise<string> {
  const { oids } = await readOne<{ oids: string }>(
    session,
    sql`
    select coalesce(string_agg(indexrelid::text, ' ' order by indexrelid), '') as oids
    from pg_index where indrelid = 'pg_temp.ebb_twin'::regclass`,
  )
  return oids
}

function failed(what: string, cause?: unknown): EbbError {
  return new EbbError(
    `the dry run on an empty copy failed: ${what}`,
    {
      state: 'It has been rolled back: the table is unchanged.',
      next: 'Undo the run with ebb abandon, resolve the cause, and start again.',
    },
    'failed',
    cause,
  )
}
