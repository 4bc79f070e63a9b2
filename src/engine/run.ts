import type { Target } from '../db/session.ts'
import { ObjectionsError } from '../errors.ts'
import { latestRun, startRun, type Run } from '../journal/journal.ts'
import { TableBusyError } from '../journal/lease.ts'
import { toStored } from '../plan/language/stored.ts'
import { display, type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { VERSION } from '../package.ts'
import type { AnyCommand, Command, CommandOutcome, StorablePlan } from './command.ts'
import { afterOthers } from './after-others.ts'
import { readPatiently } from './locks/patiently.ts'
import { watchHolds } from './hold-watch.ts'
import type { EngineOptions } from './options.ts'
import { assertIdle, findPlan, lookUp, type FoundPlan, type Given } from './plan-command.ts'
import { rehearseEventTriggers } from './rehearsal.ts'
import { assertAsSaved } from './saved-plan.ts'
import { storable, verifiedPlan } from './stored-plan.ts'
import { runIn, withTable, type RunContext, type TableContext } from './table-context.ts'

// A run executes the plan it was started with. So the same command, run again, finds that plan in the journal and
// resumes it.

/** How often a command that asks for it starts over. */
const MOST_BEGINNINGS = 5

/**
 * Executes a command, or resumes an interrupted run of it with the plan it was started with.
 *
 * @throws {ObjectionsError} when there are reasons not to start
 */
export async function carryOut<Request, Outcome extends CommandOutcome>(
  target: Target,
  written: WrittenName,
  command: Command<Request, StorablePlan, unknown, Outcome>,
  request: Request,
  options: EngineOptions,
): Promise<Outcome> {
  const given = { command, request, options }
  for (let left = MOST_BEGINNINGS; ; left--) {
    try {
      const once = () => carryOutOnce(target, written, given)
      return (await afterOthers(target, written, options, once)) as Outcome
    } catch (error) {
      if (left === 1 || command.beginsAnewAfter?.(error) !== true) throw error
    }
  }
}

/** A new run that changes the catalogue. */
function isToBegin({ worksInBatches }: AnyCommand, { plan, runId, doneBy }: FoundPlan): boolean {
  return worksInBatches !== true && runId === null && doneBy === null && plan.steps.length > 0
}

async function carryOutOnce(target: Target, written: WrittenName, given: Given): Promise<CommandOutcome> {
  const { command, request, options } = given
  const found = await readPatiently(target, `plan ${command.name}`, options, async (session) => {
    const { server, name } = await lookUp(session, written, options)
    const planned = await findPlan(session, server, name, given)
    await assertAsSaved(session, planned, given)
    if (isToBegin(command, planned)) await rehearseEventTriggers(session, name, server.version)
    return planned
  })
  const { server, name, plan, doneBy } = found
  if (doneBy === null && plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  const nothing = command.nothingToDo?.(plan, doneBy) ?? null
  if (nothing !== null) return nothing
  const others = command.others?.(plan) ?? []
  return withTable({ target, server, ...options, command: command.name, others }, name, async (context) => {
    await assertLatest(context, name, found.earlier)
    await assertIdle(context.session, context.journalSchema, others)
    if (found.runId === null) await command.beforeBegin?.(context, request)
    const { run, plan: begun } = await beginRun(context, given, found)
    return command.carryOut(await obeyingHolds(run, given, begun), begun)
  })
}

/**
 * A run that removes rows may not remove those on hold, also those that come to be on hold while it is at work.
 *
 * @throws {EbbError} if some are now
 */
export async function obeyingHolds(
  run: RunContext,
  { command, request, options: { accept = [] } }: Given,
  plan: StorablePlan,
): Promise<RunContext> {
  const { accept: accepted = [] } = request as { readonly accept?: readonly string[] }
  if (command.removes?.(request) !== true || [...accept, ...accepted].includes('hold')) return run
  const tables = [run.lease.table, ...(command.removesAlso?.(plan) ?? [])]
  return { ...run, holds: await watchHolds(run.session, run.journalSchema, tables) }
}

/**
 * The run to resume, or a new one, which is recorded before its first step.
 *
 * @throws {EbbError} when the plan of a resumed run no longer matches the database
 */
async function beginRun(
  context: TableContext,
  { command, request }: Given,
  { name: table, situation, runId, earlier }: FoundPlan,
): Promise<{ readonly run: RunContext; readonly plan: StorablePlan }> {
  if (runId !== null && earlier !== undefined)
    return { run: runIn(context, runId), plan: await verifiedPlan(context, command, earlier) }
  const { plan, stored } = storable(command, request, situation)
  const run = { ...stored, command: command.name, table, request: toStored(request), version: VERSION }
  return { run: runIn(context, await startRun(context.session, context.journalSchema, run)), plan }
}

/**
 * Plans are made before the lease is taken. Another run may have finished in between, and then the plan is outdated.
 *
 * @throws {EbbError} when the latest run of the table is another one, or has changed
 */
export async function assertLatest(context: TableContext, table: TableName, seen: Run | undefined): Promise<void> {
  const latest = await latestRun(context.session, context.journalSchema, table)
  if (latest?.id === seen?.id && latest?.status === seen?.status) return
  throw new TableBusyError(`another run has changed ${display(table)} in the meantime`, {
    state: 'This command has changed nothing.',
    next: 'Check ebb status, and run this command again if it is still needed.',
  })
}
