import { readChildren } from '../../catalog/partitions/children.ts'
import { readTable } from '../../catalog/table/read-table.ts'
import { inOneGo } from '../../db/in-one-go.ts'
import { EbbError } from '../../errors.ts'
import { assertLease } from '../../journal/lease.ts'
import { compareFacts, describeChange, describeDifference, factsOf } from '../../plan/table/facts.ts'
import type { Facts, SwapStep } from '../../plan/language/step.ts'
import type { LockTimes } from '../../events.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { areNewHolds, holdsMeanwhile } from '../hold-watch.ts'
import { underShortLocks, type LockLimits } from '../locks/short-locks.ts'
import { CatchingUp } from '../copy/catching-up.ts'
import { sessionsOf, type TableContext } from '../table-context.ts'

/**
 * Performs a swap. Under the lock the table must be unchanged since the plan was made, or a change would be lost;
 * before the commit the new table must be as planned. Otherwise it is rolled back.
 */
export async function swap(
  step: SwapStep,
  context: TableContext,
  lockLimits: LockLimits,
  record: () => Promise<void>,
): Promise<LockTimes> {
  await warmUp(step, context)
  if (step.work === null) return exchange(step, context, lockLimits, null, record)
  const catchingUp = new CatchingUp(step.work, context, lockLimits)
  try {
    await catchingUp.prepare()
    return await exchange(step, context, lockLimits, catchingUp, record)
  } catch (error) {
    await catchingUp.stop()
    throw error
  }
}

async function exchange(
  step: SwapStep,
  context: TableContext,
  lockLimits: LockLimits,
  copy: CatchingUp | null,
  record: () => Promise<void>,
): Promise<LockTimes> {
  const locks = { ...step, stillReady: async () => (await copy?.isReady()) ?? true }
  return underShortLocks(sessionsOf(context), locks, lockLimits, context.observer, context.signal, async () => {
    // Checks are evaluated at the end: until the commit everything can be rolled back.
    const { session, journalSchema, holds } = context
    const [newHolds] = await inOneGo(session, () => [
      areNewHolds(session, journalSchema, holds),
      assertLease(session, journalSchema, context.lease),
      assertUnchanged(step, context),
      assertPartitions(step, context),
      ...step.mustBeEmpty.map((name) => assertEmpty(name, context)),
      ...(copy?.complete() ?? []),
      context.session.query(step.statements.join(';\n')),
      assertCarried(step, context),
      record(),
    ])
    // The names have changed: which tables they are on is looked at by the next attempt.
    if (newHolds) throw holdsMeanwhile()
  })
}

/** Plans the catalogue queries and warms the session's caches before the locks are taken. */
async function warmUp(step: SwapStep, context: TableContext): Promise<void> {
  await context.session.query('set plan_cache_mode = force_generic_plan')
  await readFacts(step, context)
  await readChildren(context.session, step.table)
}

async function readFacts(step: SwapStep, { session, server }: TableContext): Promise<Facts> {
  const table = await readTable(session, step.table, server.version)
  return table === undefined ? {} : factsOf(table, step.ours)
}

async function assertUnchanged(step: SwapStep, context: TableContext): Promise<void> {
  const differences = compareFacts(step.before, await readFacts(step, context))
  if (differences.length > 0) throw changedMeanwhile(step, differences.map(describeChange))
}

async function assertCarried(step: SwapStep, context: TableContext): Promise<void> {
  const differences = compareFacts(step.after, await readFacts(step, context))
  if (differences.length > 0) throw notCarried(step, differences.map(describeDifference))
}

async function assertPartitions(step: SwapStep, { session }: TableContext): Promise<void> {
  const planned = new Set(step.partitions.map(display))
  const present = (await readChildren(session, step.table)).map(display)
  const others = present.filter((name) => !planned.has(name))
  const missing = [...planned].filter((name) => !present.includes(name))
  if (others.length === 0 && missing.length === 0) return
  throw changedMeanwhile(step, [
    ...others.map((name) => `partition ${name} is new`),
    ...missing.map((name) => `partition ${name} is gone`),
  ])
}

async function assertEmpty(name: TableName, { session }: TableContext): Promise<void> {
  const { rowCount } = await session.query(sql`select from ${quoted(name)} limit 1`)
  if (rowCount === 0) return
  throw new EbbError(`rows were written to ${display(name)} meanwhile and would be lost`, {
    state: 'The table is still partitioned; nothing has been lost.',
    next: 'It can no longer be turned back into a plain table. Undo the preparations with ebb abandon.',
  })
}

function changedMeanwhile({ table }: SwapStep, differences: readonly string[]): EbbError {
  return new EbbError(`${display(table)} has changed since the plan was made: ${differences.join('; ')}`, {
    state: 'The swap has not happened; the application is not affected.',
    next: 'Undo the preparations with ebb abandon, and start again: the new plan includes the change.',
  })
}

function notCarried({ table }: SwapStep, differences: readonly string[]): EbbError {
  return new EbbError(`the swap would have changed ${display(table)}: ${differences.join('; ')}`, {
    state: 'The swap has been rolled back; the application is not affected.',
    next: 'Please report it with the output above. Undo the preparations with ebb abandon.',
  })
}
