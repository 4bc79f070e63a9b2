import { readEventTriggers } from '../catalog/event-triggers.ts'
import { resolveTable } from '../catalog/table/read-table.ts'
import { asIfAble } from './onlooker.ts'
import { readServer, type ServerModel } from '../catalog/server-model.ts'
import type { Session, Target } from '../db/session.ts'
import { inSnapshot } from '../db/transaction.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { journalExists, latestRun, type Run } from '../journal/journal.ts'
import { fromStored } from '../plan/language/stored.ts'
import { eventTriggerNotes } from '../plan/table/objections/manager.ts'
import { OLDEST_VERSION } from '../plan/table/objections/server.ts'
import { display, type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import {
  isRunOf,
  NothingLeft,
  Refusal,
  type AnyCommand,
  type Command,
  type CommandOutcome,
  type StorablePlan,
} from './command.ts'
import { objectionsToRemoving, objectionsToTable } from './first-look.ts'
import { readPatiently } from './locks/patiently.ts'
import type { EngineOptions } from './options.ts'
import { describeSoFar } from './purge/progress.ts'
import { assertFormat, planOf } from './stored-plan.ts'

// The plan of a command: a new one, or that of the table's unfinished run.

/** A command with its request and options. */
export interface Given {
  readonly command: AnyCommand
  readonly request: unknown
  readonly options: EngineOptions
}

/** A plan, and the state of its run. */
export interface FoundPlan {
  readonly server: ServerModel
  readonly name: TableName
  readonly plan: StorablePlan
  /** The basis of the plan; null if it is not to be executed. */
  readonly situation: unknown
  /** The run to resume; null if there is none. */
  readonly runId: string | null
  /** The latest run of the table when the plan was made or found. */
  readonly earlier: Run | undefined
  /** The same command was executed before, by this run, and nothing is left to do. */
  readonly doneBy: string | null
}

/**
 * Plans a command, or what is left of it if it works in batches. Reads in READ ONLY transactions and changes nothing.
 */
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
  return readPatiently(target, `plan ${command.name}`, options, async (session) => {
    const { server, name } = await lookUp(session, written, options)
    // If the journal may not be read, the plan says so.
    if (command.worksInBatches !== true || !server.journalUsable)
      return (await planAnew(session, server, name, given)).plan
    const { runId: id, plan } = await findPlan(session, server, name, given)
    if (id === null) return plan
    const soFar = await describeSoFar(session, options.journalSchema, { id, command: command.name, plan })
    return { ...plan, evidence: [...soFar, ...plan.evidence] }
  })
}

/**
 * Reads the server and the table; an unsupported server is an objection in the plan.
 *
 * @throws {EbbError} when the journal cannot be trusted
 */
export async function lookUp(
  session: Session,
  written: WrittenName,
  options: EngineOptions,
): Promise<{ readonly server: ServerModel; readonly name: TableName }> {
  return inSnapshot(session, async () => {
    const found = await readServer(session, options.journalSchema)
    const server = options.onlyLooks === true ? asIfAble(found) : found
    assertSupported(server)
    // If it may not be used the plan says so; if it cannot be trusted there is no plan.
    if (server.journalUsable && options.onlyLooks !== true) await journalExists(session, options.journalSchema)
    const { now = server.now } = options
    return { server: { ...server, now }, name: await resolveTable(session, written) }
  })
}

/** The following queries need catalogue columns that older servers do not have. */
function assertSupported(server: ServerModel): void {
  if (server.version >= OLDEST_VERSION) return
  throw new EbbError(
    `this is PostgreSQL ${server.versionText}; Ebb needs ${OLDEST_VERSION / 10_000} or later`,
    { state: NOTHING_CHANGED, next: 'Upgrade the server first.' },
    'objections',
  )
}

/** Reads the situation, and plans, unless there are objections to any command on the table. */
export async function planAnew(
  session: Session,
  server: ServerModel,
  table: TableName,
  { command, request, options }: Given,
): Promise<Pick<FoundPlan, 'plan' | 'situation'>> {
  const objections = [
    ...(await objectionsToTable(session, server, table, options, command)),
    ...(command.removes?.(request) === true ? await objectionsToRemoving(session, server, table, options) : []),
  ]
  if (objections.length > 0) {
    const goal = `${command.name} ${display(table)}`
    const empty = { goal, table, objections, evidence: [], dependents: [], notes: [], steps: [] }
    return { plan: command.refused(empty, request), situation: null }
  }
  const read = await command.read({ session, server, options }, table, request)
  if (read instanceof Refusal) return { plan: (read as Refusal<StorablePlan>).plan, situation: null }
  const plan = command.plan(read, request)
  if (command.worksInBatches === true || plan.steps.length === 0) return { plan, situation: read }
  const notes = eventTriggerNotes(await readEventTriggers(session))
  return { plan: { ...plan, notes: [...plan.notes, ...notes] }, situation: read }
}

/**
 * The plan of the table's unfinished run, if it is of the same command; a new one if there is none.
 *
 * @throws {EbbError} when another command, or the same with another request, is unfinished
 */
export async function findPlan(
  session: Session,
  server: ServerModel,
  name: TableName,
  given: Given,
): Promise<FoundPlan> {
  const { command, request, options } = given
  const { journalSchema } = options
  const journal = await journalExists(session, journalSchema)
  const earlier = journal ? await latestRun(session, journalSchema, name) : undefined
  if (earlier?.status === 'running' && command.knowsOf?.(earlier, request) !== true) {
    if (command.name === earlier.command) assertFormat(earlier)
    if (!isRunOf(command, request, earlier)) throw otherRun(earlier, command.name === earlier.command)
    const plan = planOf(command, earlier)
    return { server, name, plan, situation: null, runId: earlier.id, earlier, doneBy: null }
  }
  const isOfIt = earlier === undefined || earlier.command === command.name
  const before = isOfIt ? earlier : await latestRun(session, journalSchema, name, [command.name])
  const done = before?.status === 'done' && isRunOf(command, request, before) ? before : null
  return { server, name, ...(await planOrDone(session, server, name, given, done)), runId: null, earlier }
}

/** A new plan; or that of a finished run which has left nothing to do. */
async function planOrDone(
  session: Session,
  server: ServerModel,
  name: TableName,
  given: Given,
  done: Run | null,
): Promise<Pick<FoundPlan, 'plan' | 'situation' | 'doneBy'>> {
  try {
    const anew = await planAnew(session, server, name, given)
    if (done === null || given.command.isCarriedOut?.(anew.plan) !== true) return { ...anew, doneBy: null }
  } catch (error) {
    if (done === null || !(error instanceof NothingLeft)) throw error
  }
  return { plan: fromStored(done.plan) as StorablePlan, situation: null, doneBy: done.id }
}

/**
 * No run of these tables is unfinished: those of a run besides its own.
 *
 * @throws {EbbError} if there is one
 */
export async function assertIdle(session: Session, journalSchema: string, tables: readonly TableName[]): Promise<void> {
  if (tables.length === 0 || !(await journalExists(session, journalSchema))) return
  for (const table of tables) {
    const run = await latestRun(session, journalSchema, table)
    if (run?.status === 'running') throw otherRun(run)
  }
}

/** Another run of the table is unfinished. */
export function otherRun(run: Run, sameCommand = false): EbbError {
  return new EbbError(
    `run ${run.id} (ebb ${run.command} ${display(run.table)}) is unfinished${sameCommand ? ', and was started with other settings' : ''}`,
    {
      state: 'This command has changed nothing.',
      next: `Finish it with ebb resume ${run.id}, or undo it with ebb abandon ${run.id}, before starting another.`,
    },
    'objections',
  )
}
