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
import { underShortLocks, type LockLimits } from '../locks/short-locks.ts'
import { CatchingUp } from '../copy/catching-up.ts'
import { sessionsOf, type TableContext } from '../table-context.ts'

/**
 * Carries out a swap. Under the lock the table must be what it was when the
 * plan was made, or somebody's change would be lost; before the commit the table
 * that now has the name must be what the plan says. Else nothing has happened.
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
    // Verdicts are given when all is done: until the commit it can be undone as a whole.
    await inOneGo(context.session, () => [
      assertLease(context.session, context.journalSchema, context.lease),
      assertUnchanged(step, context),
      assertPartitions(step, context),
      ...step.mustBeEmpty.map((name) => assertEmpty(name, context)),
      ...(copy?.complete() ?? []),
      context.session.query(step.statements.join(';\n')),
      assertCarried(step, context),
      record(),
    ])
  })
}

/** Has the session plan its look at the catalogue, and load it into its caches, while nobody waits for it. */
async function warmUp(step: SwapStep, context: TableContext): Promise<void> {
  await context.session.query('set plan_cache_mode = force_generic_plan')
  for (let i = 0; i < 2; i++) await readFacts(step, context)
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
  throw new EbbError(`rows have been written to ${display(name)} meanwhile, and would be lost`, {
    state: 'The table is still partitioned; nothing has been lost.',
    next: 'It cannot go back to a plain table any more. Undo the preparations with ebb abandon.',
  })
}

function changedMeanwhile({ table }: SwapStep, differences: readonly string[]): EbbError {
  return new EbbError(`${display(table)} has changed since the plan was made: ${differences.join('; ')}`, {
    state: 'The swap has not happened; the application has noticed nothing.',
    next: 'Undo the preparations with ebb abandon, and start again: the new plan takes the change into account.',
  })
}

function notCarried({ table }: SwapStep, differences: readonly string[]): EbbError {
  return new EbbError(`after the swap ${display(table)} would not have been what it was: ${differences.join('; ')}`, {
    state: 'The swap has been rolled back; the application has noticed nothing.',
    next: 'Please report this with the lines above. Undo the preparations with ebb abandon.',
  })
}
