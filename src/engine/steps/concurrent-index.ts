import { readOne } from '../../db/query.ts'
import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import { assertLease } from '../../journal/lease.ts'
import type { DropIndexStep, IndexStep } from '../../plan/language/step.ts'
import { quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { LockLimits } from '../locks/short-locks.ts'
import type { TableContext } from '../table-context.ts'

// Creates and drops indexes concurrently, outside a transaction.

/**
 * Builds an index concurrently. An interrupted build leaves an invalid index, which slows down writes and serves no
 * reads, so it is dropped and built again.
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
        // The partial index fills the disk, and is useless.
        if (codeOf(error) === SQLSTATE.diskFull) await drop().catch(() => {})
        throw error
      })
  })
}

/** Drops an index concurrently; idempotent. */
export async function dropIndex(step: DropIndexStep, context: TableContext, lockLimits: LockLimits): Promise<void> {
  await assertLease(context.session, context.journalSchema, context.lease)
  await waitingOthersOut(context, lockLimits, async () => {
    for (const statement of step.statements) await context.session.query(statement)
  })
}

/** For statements that wait for others without blocking them; `watched` reports for whom. */
async function waitingOthersOut(
  context: TableContext,
  { deadlineMs }: LockLimits,
  work: () => Promise<void>,
): Promise<void> {
  await context.session.query(`set lock_timeout = ${Math.ceil(deadlineMs)}`)
  try {
    await work()
  } finally {
    // After a lost connection there is nothing to reset, and the first error has the reason.
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
