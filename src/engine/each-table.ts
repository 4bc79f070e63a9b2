import { withSession, type Target } from '../db/session.ts'
import { journalExists, latestRun } from '../journal/journal.ts'
import { display, type TableName } from '../sql/names.ts'
import { isRunOf, type AnyCommand, type Command, type CommandOutcome, type StorablePlan } from './command.ts'
import { outcomeOfEach, type TableOutcome } from './many-tables.ts'
import type { EngineOptions } from './options.ts'
import { planCommand } from './plan-command.ts'
import { carryOut } from './run.ts'
import { readLeftBehind } from './runs/left-behind.ts'

// One command for several tables, one after the other. It is resumed like a command for one: an unfinished run is resumed by
// the same request, and a copy whose retired table is still there is done, where it would be refused alone.

/** Plans a command for each table. Changes nothing. */
export function planEach<Request, P extends StorablePlan>(
  target: Target,
  tables: readonly TableName[],
  command: Command<Request, P, unknown, CommandOutcome>,
  request: Request,
  options: EngineOptions,
): Promise<TableOutcome<P>[]> {
  const room = roomFor(options)
  return outcomeOfEach(tables, options.signal, async (table) => {
    const before = await doneBefore(target, table, command, request, options)
    if (before !== null) return before
    const result = await planCommand(target, table, command, request, { ...options, ...room.left() })
    room.take(result)
    return { table, outcome: 'done', result }
  })
}

/** Carries a command out for each table; `then` sees the outcome of one before the next is begun. */
export function carryOutEach<Request, Outcome extends CommandOutcome, Shown>(
  target: Target,
  tables: readonly TableName[],
  command: Command<Request, StorablePlan, unknown, Outcome>,
  request: Request,
  options: EngineOptions,
  then: (outcome: Outcome) => Promise<Shown>,
): Promise<TableOutcome<Shown>[]> {
  const room = roomFor(options)
  return outcomeOfEach(tables, options.signal, async (table, position) => {
    const before = await doneBefore(target, table, command, request, options)
    if (before !== null) return before
    const text = `${display(table)}, ${position + 1} of ${tables.length} tables`
    options.observer({ table, runId: null, type: 'note', text })
    const outcome = await carryOut(target, table, command, request, { ...options, ...room.left() })
    room.take(outcome.plan)
    return { table, outcome: 'done', result: await then(outcome) }
  })
}

/** Of a copy: the latest run on the table has been this one, and what it has retired is still there. */
async function doneBefore(
  target: Target,
  table: TableName,
  command: Pick<AnyCommand, 'name' | 'copies'>,
  request: unknown,
  { journalSchema }: EngineOptions,
): Promise<Extract<TableOutcome<never>, { readonly outcome: 'done before' }> | null> {
  if (command.copies !== true) return null
  return withSession(target, `plan ${command.name}`, async (session) => {
    if (!(await journalExists(session, journalSchema))) return null
    const run = await latestRun(session, journalSchema, table)
    if (run?.status !== 'done' || !isRunOf(command, request, run)) return null
    const [left] = await readLeftBehind(session, journalSchema, run.id)
    const kept = left !== undefined && left.retired !== null && !left.renamed
    return kept ? { table, outcome: 'done before', runId: run.id } : null
  })
}

/** The disk space that is left after the tables before: they keep theirs until what they have retired is dropped. */
function roomFor({ diskFree }: EngineOptions) {
  let left = diskFree
  return {
    left: () => (left === undefined ? {} : { diskFree: left }),
    take({ rebuild }: StorablePlan) {
      if (left !== undefined) left = Math.max(0, left - (rebuild?.diskBytes ?? 0))
    },
  }
}
