import { readOne } from '../../db/session.ts'
import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import { assertLease } from '../../journal/lease.ts'
import type { DropIndexStep, IndexStep } from '../../plan/language/step.ts'
import { quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { LockLimits } from '../locks/short-locks.ts'
import type { TableContext } from '../table-context.ts'

// Indexes that come and go concurrently: in nobody's way, and in no transaction.

/**
 * Builds an index concurrently. That is no transaction: an interrupted one
 * leaves an invalid index, which costs every write and serves no read, so it is
 * dropped and built anew.
 */
export async function buildIndex(step: IndexStep, context: TableContext, lockLimits: LockLimits): Promise<void> {
  const { session } = context
  await assertLease(session, context.journalSchema, context.lease)
  await waitingOthersOut(context, lockLimits, async () => {
    const state = await indexState(step, context)
    if (state === 'valid') return
    const drop = () => session.query(sql`drop index concurrently if exists ${quoted(step.index)}`)
    if (state === 'invalid') await drop()
    for (const statement of step.statements)
      await session.query(statement).catch(async (error: unknown) => {
        // What there is of it fills the disk, and is of no use.
        if (codeOf(error) === SQLSTATE.diskFull) await drop().catch(() => {})
        throw error
      })
  })
}

/** Drops an index concurrently; done twice is done once. */
export async function dropIndex(step: DropIndexStep, context: TableContext, lockLimits: LockLimits): Promise<void> {
  await assertLease(context.session, context.journalSchema, context.lease)
  await waitingOthersOut(context, lockLimits, async () => {
    for (const statement of step.statements) await context.session.query(statement)
  })
}

/** For statements that wait for others without being in their way; `watched` tells for whom. */
async function waitingOthersOut(
  context: TableContext,
  { deadlineMs }: LockLimits,
  work: () => Promise<void>,
): Promise<void> {
  await context.session.query(`set lock_timeout = ${Math.ceil(deadlineMs)}`)
  try {
    await work()
  } finally {
    // When the connection is lost there is nothing to reset, and the first error tells why.
    await context.session.query('reset lock_timeout').catch(() => {})
  }
}

async function indexState({ index }: IndexStep, { session }: TableContext): Promise<'none' | 'invalid' | 'valid'> {
  const { state } = await readOne<{ state: 'none' | 'invalid' | 'valid' }>(
    session,
    sql`
    select coalesce((select case when i.indisvalid then 'valid' else 'invalid' end
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${index.schema} and c.relname = ${index.name}), 'none') as state`,
  )
  return state
}
