import type { ServerModel } from '../catalog/server-model.ts'
import { withSession, type Session, type Target } from '../db/session.ts'
import { EbbError, UsageError } from '../errors.ts'
import { journalExists, latestRun, startRun, type Run } from '../journal/journal.ts'
import type { Objection, Plan as BasePlan } from '../plan/language/step.ts'
import { canonicalJson, fromStored, toStored } from '../plan/language/stored.ts'
import { display, type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { VERSION } from '../version.ts'
import { arrive } from './arrive.ts'
import { objectionsToTable } from './first-look.ts'
import type { EngineOptions } from './options.ts'
import { planOf, storable, verifiedPlan, type StorablePlan } from './stored-plan.ts'
import type { TableContext } from './table-context.ts'

// A run carries out the plan that was agreed to when it began. So the same
// command, given again, finds that plan in the journal and goes on with it.

/**
 * What was asked for, and how a plan of it is made: by reading a situation, and a pure function of that. The journal
 * keeps the situation, and a run that goes on makes the plan from it again (stored-plan.ts).
 */
export interface Command<Plan, Situation = unknown> {
  /** Stands in the journal. */
  readonly name: string
  readonly request: unknown
  read(session: Session, server: ServerModel, table: TableName): Promise<Situation | Refusal<Plan>>
  plan(situation: Situation): Plan
  /** The plan that says only what is in the way. */
  readonly refused: (plan: BasePlan) => Plan
  /** It does not matter where the rows are, or the plan finds out for itself. */
  readonly ofAnyStorage?: true
  /**
   * Makes sure, in the snapshot that is open, that a stored situation says of the database what that says itself.
   *
   * @throws {EbbError} when it does not
   */
  verify(session: Session, server: ServerModel, table: TableName, situation: Situation): Promise<void>
  /** An unfinished run of another command of which the plan itself says what is to be done. */
  readonly knowsOf?: (run: Run) => boolean
  /** Of a new plan: it cannot be carried out, because it has been. `read` may also throw `NothingLeft`. */
  isCarriedOut?(this: void, plan: Plan): boolean
}

/** Where there is no looking any further: a plan that says what is in the way. */
export class Refusal<Plan> {
  readonly plan: Plan

  constructor(plan: Plan) {
    this.plan = plan
  }
}

/** There is nothing of what the command is there for: a wrong request, unless it has been carried out before. */
export class NothingLeft extends UsageError {}

/** A plan, and how it stands with its run. */
export interface Agreed<Plan> {
  readonly server: ServerModel
  readonly name: TableName
  readonly plan: Plan
  /** What the plan was made from; null where it is not to be carried out. */
  readonly situation: unknown
  /** Of the run that goes on; null where none has begun. */
  readonly runId: string | null
  /** The latest run of the table when the plan was made or found. */
  readonly earlier: Run<Plan> | undefined
  /** The same command was carried out before, by this run, and nothing is left to do. */
  readonly doneBy: string | null
}

/** A new plan, whatever runs there are. Reads in READ ONLY transactions and changes nothing. */
export function newPlan<Plan extends StorablePlan>(
  target: Target,
  written: WrittenName,
  command: Command<Plan>,
  options: EngineOptions,
): Promise<Plan> {
  return withSession(target, `plan ${command.name}`, async (session) => {
    const { server, name } = await arrive(session, written, options)
    return (await planAnew(session, server, name, command, options)).plan
  })
}

/** Reads the situation, and plans, unless there is something against any work on the table. */
export async function planAnew<Plan>(
  session: Session,
  server: ServerModel,
  table: TableName,
  command: Command<Plan>,
  options: Pick<EngineOptions, 'accept'>,
): Promise<Pick<Agreed<Plan>, 'plan' | 'situation'>> {
  const objections = await objectionsToTable(session, server, table, options, command.ofAnyStorage)
  if (objections.length > 0) {
    const goal = `${command.name} ${display(table)}`
    const plan = command.refused({ goal, table, objections, evidence: [], dependents: [], notes: [], steps: [] })
    return { plan, situation: null }
  }
  const read = await command.read(session, server, table)
  if (read instanceof Refusal) return { plan: (read as Refusal<Plan>).plan, situation: null }
  return { plan: command.plan(read), situation: read }
}

/**
 * The plan of the table's unfinished run, if it is the same command; a new one where no run is unfinished.
 *
 * @throws {EbbError} when another command, or the same with another request, is unfinished
 */
export function agreedPlan<Plan extends StorablePlan>(
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
export async function findAgreed<Plan extends StorablePlan>(
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
    return { server, name, plan: planOf(command, earlier), situation: null, runId: earlier.id, earlier, doneBy: null }
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
): Promise<Pick<Agreed<Plan>, 'plan' | 'situation' | 'doneBy'>> {
  try {
    const anew = await planAnew(session, server, name, command, options)
    if (done === null || command.isCarriedOut?.(anew.plan) !== true) return { ...anew, doneBy: null }
  } catch (error) {
    if (done === null || !(error instanceof NothingLeft)) throw error
  }
  return { plan: fromStored(done.plan), situation: null, doneBy: done.id }
}

/** Whether the run was started by this command. */
function isOf({ name, request }: Pick<Command<unknown>, 'name' | 'request'>, run: Run): boolean {
  return run.command === name && canonicalJson(run.request) === canonicalJson(toStored(request))
}

/** A plan to partition a table that is partitioned. */
export function isPartitionedAlready({ objections }: { readonly objections: readonly Objection[] }): boolean {
  return objections.some(({ code }) => code === 'partitioned')
}

/** A run that is under way, and the plan that it carries out. */
export interface Begun<Plan> {
  readonly runId: string
  readonly plan: Plan
}

/**
 * The run that goes on, or a new one.
 *
 * @throws {EbbError} when another run has worked on the table in the meantime, or the plan of the one that goes on does
 *   not fit the database any more
 */
export async function beginRun<Made extends StorablePlan>(
  context: TableContext,
  command: Command<Made>,
  { name: table, situation, runId, earlier }: Agreed<Made>,
): Promise<Begun<Made>> {
  await assertLatest(context, table, earlier)
  if (runId !== null && earlier !== undefined) return { runId, plan: await verifiedPlan(context, command, earlier) }
  return recordRun(context, command, table, situation)
}

/** Writes a run down before its first step. */
export async function recordRun<Made extends StorablePlan>(
  { session, journalSchema }: TableContext,
  command: Command<Made>,
  table: TableName,
  situation: unknown,
): Promise<Begun<Made>> {
  const { plan, stored } = storable(command, situation)
  const run = { ...stored, command: command.name, table, request: toStored(command.request), version: VERSION }
  return { runId: await startRun(session, journalSchema, run), plan }
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
