import { resolveTable } from '../catalog/table/read-table.ts'
import { readServer, type ServerModel } from '../catalog/server-model.ts'
import { inSnapshot, withSession, type Session, type Target } from '../db/session.ts'
import { EbbError, NOTHING_CHANGED, ObjectionsError } from '../errors.ts'
import { journalExists, latestRun, startRun, type Run } from '../journal/journal.ts'
import { fromStored, toStored } from '../plan/language/stored.ts'
import { OLDEST_VERSION } from '../plan/table/server-objections.ts'
import { display, type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { VERSION } from '../version.ts'
import {
  isRunOf,
  NothingLeft,
  Refusal,
  type AnyCommand,
  type Command,
  type CommandOutcome,
  type StorablePlan,
} from './command.ts'
import { objectionsToTable } from './first-look.ts'
import type { EngineOptions } from './options.ts'
import { describeSoFar } from './purge/progress.ts'
import { planOf, storable, verifiedPlan } from './stored-plan.ts'
import { runIn, withTable, type RunContext, type TableContext } from './table-context.ts'

// A run carries out the plan that was agreed to when it began. So the same
// command, given again, finds that plan in the journal and goes on with it.

/** A command with its request, and the options of whoever gives it. */
interface Given {
  readonly command: AnyCommand
  readonly request: unknown
  readonly options: EngineOptions
}

/** A plan, and how it stands with its run. */
interface Agreed {
  readonly server: ServerModel
  readonly name: TableName
  readonly plan: StorablePlan
  /** What the plan was made from; null where it is not to be carried out. */
  readonly situation: unknown
  /** Of the run that goes on; null where none has begun. */
  readonly runId: string | null
  /** The latest run of the table when the plan was made or found. */
  readonly earlier: Run | undefined
  /** The same command was carried out before, by this run, and nothing is left to do. */
  readonly doneBy: string | null
}

/** What a command would do, or what is left of it where it works in batches. Reads in READ ONLY transactions and changes nothing. */
export function planCommand<Request, Plan extends StorablePlan>(
  target: Target,
  written: WrittenName,
  command: Command<Request, Plan, unknown, CommandOutcome>,
  request: Request,
  options: EngineOptions,
): Promise<Plan> {
  return planGiven(target, written, { command, request, options }) as Promise<Plan>
}

function planGiven(target: Target, written: WrittenName, given: Given): Promise<StorablePlan> {
  const { command, options } = given
  return withSession(target, `plan ${command.name}`, async (session) => {
    const { server, name } = await lookUp(session, written, options)
    // Where the journal may not be read, the plan says so.
    if (command.worksInBatches !== true || !server.journalUsable)
      return (await planAnew(session, server, name, given)).plan
    const { runId: id, plan } = await findAgreed(session, server, name, given)
    if (id === null) return plan
    const soFar = await describeSoFar(session, options.journalSchema, { id, command: command.name })
    return { ...plan, evidence: [...soFar, ...plan.evidence] }
  })
}

/** How often a command begins anew of which that is asked. */
const MOST_BEGINNINGS = 5

/**
 * Carries a command out, or goes on with a run of it that was interrupted, from the plan that was agreed to then.
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
      return (await carryOutOnce(target, written, given)) as Outcome
    } catch (error) {
      if (left === 1 || command.beginsAnewAfter?.(error) !== true) throw error
    }
  }
}

async function carryOutOnce(target: Target, written: WrittenName, given: Given): Promise<CommandOutcome> {
  const { command, request, options } = given
  const agreed = await withSession(target, `plan ${command.name}`, async (session) => {
    const { server, name } = await lookUp(session, written, options)
    return findAgreed(session, server, name, given)
  })
  const { server, name, plan, doneBy } = agreed
  if (doneBy === null && plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  const nothing = command.nothingToDo?.(plan, doneBy) ?? null
  if (nothing !== null) return nothing
  return withTable({ target, server, ...options, command: command.name }, name, async (context) => {
    await assertLatest(context, name, agreed.earlier)
    if (agreed.runId === null) await command.beforeBegin?.(context, request)
    const { run, plan: begun } = await beginRun(context, given, agreed)
    return command.carryOut(run, begun)
  })
}

/**
 * The first look at the server and the table; a server that cannot be worked with is refused in the plan.
 *
 * @throws {EbbError} when the journal cannot be trusted
 */
async function lookUp(
  session: Session,
  written: WrittenName,
  options: EngineOptions,
): Promise<{ readonly server: ServerModel; readonly name: TableName }> {
  return inSnapshot(session, async () => {
    const server = await readServer(session, options.journalSchema)
    assertSupported(server)
    // Where it may not be used the plan says so; where it cannot be trusted there is none.
    if (server.journalUsable) await journalExists(session, options.journalSchema)
    const { now = server.now } = options
    return { server: { ...server, now }, name: await resolveTable(session, written) }
  })
}

/** What follows asks for columns of the catalogue that older servers do not have. */
function assertSupported(server: ServerModel): void {
  if (server.version >= OLDEST_VERSION) return
  throw new EbbError(
    `this is PostgreSQL ${server.versionText}, and Ebb needs ${OLDEST_VERSION / 10_000} or later`,
    { state: NOTHING_CHANGED, next: 'Update the server first, or partition with other means.' },
    'objections',
  )
}

/** Reads the situation, and plans, unless there is something against any work on the table. */
async function planAnew(
  session: Session,
  server: ServerModel,
  table: TableName,
  { command, request, options }: Given,
): Promise<Pick<Agreed, 'plan' | 'situation'>> {
  const objections = await objectionsToTable(session, server, table, options, command.ofAnyStorage)
  if (objections.length > 0) {
    const goal = `${command.name} ${display(table)}`
    const empty = { goal, table, objections, evidence: [], dependents: [], notes: [], steps: [] }
    return { plan: command.refused(empty, request), situation: null }
  }
  const read = await command.read({ session, server, options }, table, request)
  if (read instanceof Refusal) return { plan: (read as Refusal<StorablePlan>).plan, situation: null }
  return { plan: command.plan(read, request), situation: read }
}

/**
 * The plan of the table's unfinished run, if it is the same command; a new one where no run is unfinished.
 *
 * @throws {EbbError} when another command, or the same with another request, is unfinished
 */
async function findAgreed(session: Session, server: ServerModel, name: TableName, given: Given): Promise<Agreed> {
  const { command, request, options } = given
  const { journalSchema } = options
  const journal = await journalExists(session, journalSchema)
  const earlier = journal ? await latestRun(session, journalSchema, name) : undefined
  if (earlier?.status === 'running' && command.knowsOf?.(earlier, request) !== true) {
    if (!isRunOf(command, request, earlier)) throw otherRun(earlier)
    const plan = planOf(command, earlier)
    return { server, name, plan, situation: null, runId: earlier.id, earlier, doneBy: null }
  }
  const before = journal ? await latestRun(session, journalSchema, name, [command.name]) : undefined
  const done = before?.status === 'done' && isRunOf(command, request, before) ? before : null
  return { server, name, ...(await planOrDone(session, server, name, given, done)), runId: null, earlier }
}

/** A new plan; that of the run which was carried out, where it has left nothing to do. */
async function planOrDone(
  session: Session,
  server: ServerModel,
  name: TableName,
  given: Given,
  done: Run | null,
): Promise<Pick<Agreed, 'plan' | 'situation' | 'doneBy'>> {
  try {
    const anew = await planAnew(session, server, name, given)
    if (done === null || given.command.isCarriedOut?.(anew.plan) !== true) return { ...anew, doneBy: null }
  } catch (error) {
    if (done === null || !(error instanceof NothingLeft)) throw error
  }
  return { plan: fromStored(done.plan) as StorablePlan, situation: null, doneBy: done.id }
}

/**
 * The run that goes on, or a new one, which is written down before its first step.
 *
 * @throws {EbbError} when the plan of the one that goes on does not fit the database any more
 */
async function beginRun(
  context: TableContext,
  { command, request }: Given,
  { name: table, situation, runId, earlier }: Agreed,
): Promise<{ readonly run: RunContext; readonly plan: StorablePlan }> {
  if (runId !== null && earlier !== undefined)
    return { run: runIn(context, runId), plan: await verifiedPlan(context, command, earlier) }
  const { plan, stored } = storable(command, request, situation)
  const run = { ...stored, command: command.name, table, request: toStored(request), version: VERSION }
  return { run: runIn(context, await startRun(context.session, context.journalSchema, run)), plan }
}

/**
 * Plans are made before the lease is had. Whoever had it before may have come
 * to an end in between, and then the plan is about a table of the past.
 *
 * @throws {EbbError} when the latest run of the table is not the one that was seen, or not as it was
 */
export async function assertLatest(context: TableContext, table: TableName, seen: Run | undefined): Promise<void> {
  const latest = await latestRun(context.session, context.journalSchema, table)
  if (latest?.id === seen?.id && latest?.status === seen?.status) return
  throw new EbbError(
    `another run has worked on ${display(table)} in the meantime`,
    {
      state: 'This command has changed nothing.',
      next: 'Look at ebb status, and run this command again if it is still wanted.',
    },
    'try later',
  )
}

/** Another run has begun on the table and is not finished. */
export function otherRun(run: Run): EbbError {
  return new EbbError(
    `run ${run.id} (ebb ${run.command} ${display(run.table)}) is unfinished, and was started with other settings`,
    {
      state: 'This command has changed nothing.',
      next: `Finish it with ebb resume ${run.id}, or undo it with ebb abandon ${run.id}, before starting another.`,
    },
    'objections',
  )
}
