import type { ServerModel } from '../catalog/server-model.ts'
import { withSession, type Session, type Target } from '../db/session.ts'
import { EbbError, EXIT, UsageError } from '../errors.ts'
import { journalExists, latestRun, startRun, type Run } from '../journal/journal.ts'
import type { Objection, Plan as BasePlan } from '../plan/step.ts'
import { canonicalJson, fromStored, toStored } from '../plan/stored.ts'
import { display, type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { VERSION } from '../version.ts'
import { arrive } from './arrive.ts'
import { objectionsToTable } from './first-look.ts'
import type { EngineOptions } from './options.ts'
import type { Workplace } from './workplace.ts'

// A run carries out the plan that was agreed to when it began. So the same
// command, given again, finds that plan in the journal and goes on with it.

/** What was asked for, and how a plan of it is made. */
export interface Command<Plan> {
  /** Stands in the journal. */
  readonly name: string
  readonly request: unknown
  readonly readPlan: (session: Session, server: ServerModel, table: TableName) => Promise<Plan>
  /** The plan that says only what is in the way. */
  readonly refused: (plan: BasePlan) => Plan
  /** It does not matter where the rows are, or the plan finds out for itself. */
  readonly ofAnyStorage?: true
  /** An unfinished run of another command of which the plan itself says what is to be done. */
  readonly knowsOf?: (run: Run) => boolean
  /** Of a new plan: it cannot be carried out, because it has been. `readPlan` may also throw `NothingLeft`. */
  isCarriedOut?(this: void, plan: Plan): boolean
}

/** There is nothing of what the command is there for: a wrong request, unless it has been carried out before. */
export class NothingLeft extends UsageError {}

/** A plan, and how it stands with its run. */
export interface Agreed<Plan> {
  readonly server: ServerModel
  readonly name: TableName
  readonly plan: Plan
  /** Of the run that goes on; null where none has begun. */
  readonly runId: string | null
  /** The latest run of the table when the plan was made or found. */
  readonly earlier: Run<Plan> | undefined
  /** The same command was carried out before, by this run, and nothing is left to do. */
  readonly doneBy: string | null
}

/** A new plan, whatever runs there are. Reads in READ ONLY transactions and changes nothing. */
export function newPlan<Plan>(
  target: Target,
  written: WrittenName,
  command: Command<Plan>,
  options: EngineOptions,
): Promise<Plan> {
  return withSession(target, `plan ${command.name}`, async (session) => {
    const { server, name } = await arrive(session, written, options)
    return readPlanOf(session, server, name, command, options)
  })
}

/** The plan of a command, unless there is something against any work on the table. */
export async function readPlanOf<Plan>(
  session: Session,
  server: ServerModel,
  table: TableName,
  command: Pick<Command<Plan>, 'name' | 'readPlan' | 'refused' | 'ofAnyStorage'>,
  options: Pick<EngineOptions, 'accept'>,
): Promise<Plan> {
  const objections = await objectionsToTable(session, server, table, options, command.ofAnyStorage)
  if (objections.length === 0) return command.readPlan(session, server, table)
  const goal = `${command.name} ${display(table)}`
  return command.refused({ goal, table, objections, evidence: [], fates: [], notes: [], steps: [] })
}

/**
 * The plan of the table's unfinished run, if it is the same command; a new one where no run is unfinished.
 *
 * @throws {EbbError} when another command, or the same with another request, is unfinished
 */
export function agreedPlan<Plan>(
  target: Target,
  written: WrittenName,
  command: Command<Plan>,
  options: EngineOptions,
): Promise<Agreed<Plan>> {
  return withSession(target, `plan ${command.name}`, async (session) => {
    const { server, name } = await arrive(session, written, options)
    return findAgreed(session, server, name, command, options)
  })
}

/** The same, where a session is there already. */
export async function findAgreed<Plan>(
  session: Session,
  server: ServerModel,
  name: TableName,
  command: Command<Plan>,
  options: EngineOptions,
): Promise<Agreed<Plan>> {
  const { journalSchema } = options
  const journal = await journalExists(session, journalSchema)
  const earlier = journal ? await latestRun<Plan>(session, journalSchema, name) : undefined
  if (earlier?.status === 'running' && command.knowsOf?.(earlier) !== true) {
    if (!isOf(command, earlier)) throw otherRun(earlier)
    return { server, name, plan: fromStored(earlier.plan), runId: earlier.id, earlier, doneBy: null }
  }
  const before = journal ? await latestRun<Plan>(session, journalSchema, name, [command.name]) : undefined
  const done = before?.status === 'done' && isOf(command, before) ? before : null
  return { server, name, ...(await planOrDone(session, server, name, command, done, options)), runId: null, earlier }
}

/** A new plan; that of the run which was carried out, where it has left nothing to do. */
async function planOrDone<Plan>(
  session: Session,
  server: ServerModel,
  name: TableName,
  command: Command<Plan>,
  done: Run<Plan> | null,
  options: EngineOptions,
): Promise<Pick<Agreed<Plan>, 'plan' | 'doneBy'>> {
  try {
    const plan = await readPlanOf(session, server, name, command, options)
    if (done === null || command.isCarriedOut?.(plan) !== true) return { plan, doneBy: null }
  } catch (error) {
    if (done === null || !(error instanceof NothingLeft)) throw error
  }
  return { plan: fromStored(done.plan), doneBy: done.id }
}

/** Whether the run was started by this command. */
function isOf({ name, request }: Pick<Command<unknown>, 'name' | 'request'>, run: Run): boolean {
  return run.command === name && canonicalJson(run.request) === canonicalJson(toStored(request))
}

/** A plan to partition a table that is partitioned. */
export function isPartitionedAlready({ objections }: { readonly objections: readonly Objection[] }): boolean {
  return objections.some(({ code }) => code === 'partitioned')
}

/**
 * The number of the run: that of the one that goes on, or of a new one.
 *
 * @throws {EbbError} when another run has worked on the table in the meantime
 */
export async function beginRun<Plan>(
  place: Workplace,
  command: Command<Plan>,
  { name: table, plan, runId, earlier }: Agreed<Plan>,
): Promise<string> {
  await assertLatest(place, table, earlier)
  if (runId !== null) return runId
  const run = {
    command: command.name,
    table,
    request: toStored(command.request),
    plan: toStored(plan),
    version: VERSION,
  }
  return startRun(place.session, place.journalSchema, run)
}

/**
 * Plans are made before the lease is had. Whoever had it before may have come
 * to an end in between, and then the plan is about a table of the past.
 *
 * @throws {EbbError} when the latest run of the table is not the one that was seen, or not as it was
 */
export async function assertLatest(place: Workplace, table: TableName, seen: Run | undefined): Promise<void> {
  const latest = await latestRun(place.session, place.journalSchema, table)
  if (latest?.id === seen?.id && latest?.status === seen?.status) return
  throw new EbbError(
    `another run has worked on ${display(table)} in the meantime`,
    {
      state: 'This command has changed nothing.',
      next: 'Look at ebb status, and run this command again if it is still wanted.',
    },
    EXIT.tryLater,
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
    EXIT.objections,
  )
}
