import { readDefinition } from '../catalog/table/definition.ts'
import { readSystemIdentifier } from '../catalog/server-model.ts'
import { readClock } from '../db/clock.ts'
import type { Session, Target } from '../db/session.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { journalExists, latestRun, type Run } from '../journal/journal.ts'
import { compareSaved, differences, savedPlan, type SavedPlan } from '../plan/language/saved.ts'
import { canonicalJson, toStored } from '../plan/language/stored.ts'
import type { Plan } from '../plan/language/step.ts'
import { type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { VERSION } from '../package.ts'
import type { AnyCommand, Command, CommandOutcome, StorablePlan } from './command.ts'
import { readPatiently } from './locks/patiently.ts'
import { newNameSuffix } from './name-suffix.ts'
import type { EngineOptions } from './options.ts'
import { findPlan, lookUp, planAnew, type FoundPlan, type Given } from './plan-command.ts'

// A plan is saved for review, and executed later if the same is planned again: by the same moment, with the same names.

/** Plans a command, and what to save of the plan: null if it has objections. Changes nothing. */
export async function planAndDescribe<Request, P extends StorablePlan>(
  target: Target,
  written: WrittenName,
  command: Command<Request, P, unknown, CommandOutcome>,
  request: Request,
  options: EngineOptions,
): Promise<{ readonly plan: P; readonly saved: SavedPlan | null }> {
  const given = { command: command as AnyCommand, request, options: { ...options, suffix: newNameSuffix() } }
  return readPatiently(target, `plan ${command.name}`, options, async (session) => {
    const { server, name } = await lookUp(session, written, options)
    const { plan, situation } = await planAnew(session, server, name, given)
    const saved =
      plan.objections.length === 0 ? await describe(session, { server, name, plan, situation }, given) : null
    return { plan: plan as P, saved }
  })
}

/** The same, and nothing is saved either where nothing is to be done. */
export async function planToSave<Request, P extends StorablePlan>(
  ...given: Parameters<typeof planAndDescribe<Request, P>>
): ReturnType<typeof planAndDescribe<Request, P>> {
  const { plan, saved } = await planAndDescribe(...given)
  return { plan, saved: plan.steps.length > 0 ? saved : null }
}

/** The options with which the same is planned again. */
export function asSaved(options: EngineOptions, saved: SavedPlan | null): EngineOptions {
  return saved === null ? options : { ...options, saved, now: saved.now, suffix: saved.suffix }
}

/** @throws {EbbError} when another plan than the saved one would be executed; with objections alone, none is */
export async function assertAsSaved(session: Session, found: FoundPlan, given: Given): Promise<void> {
  const { saved } = given.options
  if (saved === undefined || found.doneBy !== null) return
  await assertPast(session, saved)
  const described = await describe(session, found, given)
  const now = found.runId === null ? described : asBefore(described, saved)
  const different = differences(saved, now)
  if (different.length === 0) return
  if (isCarriedOutBy(saved, found.earlier)) throw carriedOut(`by run ${found.earlier.id}`)
  // They say why it has other steps.
  if (found.plan.objections.length > 0 && compareSaved(saved, now).other.length === 0) return
  throw notAsSaved(different)
}

/** The same, before another command is executed that belongs to it. */
export async function assertStillAsSaved<Request>(
  target: Target,
  written: WrittenName,
  command: Command<Request, StorablePlan, unknown, CommandOutcome>,
  request: Request,
  options: EngineOptions,
): Promise<void> {
  const given = { command, request, options }
  await readPatiently(target, `plan ${command.name}`, options, async (session) => {
    const { server, name } = await lookUp(session, written, options)
    await assertAsSaved(session, await findPlan(session, server, name, given), given)
  })
}

/**
 * A file may say anything: a moment that is still to come would make rows expired that are not.
 *
 * @throws {EbbError}
 */
export async function assertPast(session: Session, { now }: SavedPlan): Promise<void> {
  if (BigInt(now) > (await readClock(session)))
    throw notAsSaved(['the moment that it is of is still to come, by the server’s clock'])
}

export function notAsSaved(different: readonly string[]): EbbError {
  return new EbbError(
    `this is not what was saved: ${different.join('; ')}`,
    { state: NOTHING_CHANGED, next: 'Plan again with --plan-out, and look at the new plan.' },
    'objections',
  )
}

export function carriedOut(by: string): EbbError {
  return new EbbError(
    `this plan was carried out ${by}`,
    { state: NOTHING_CHANGED, next: 'If more is to be done by now, plan again with --plan-out.' },
    'objections',
  )
}

/** Whether the latest run of the table by that command has done what was saved. */
export async function wasCarriedOut(session: Session, journalSchema: string, saved: SavedPlan): Promise<boolean> {
  if (!(await journalExists(session, journalSchema))) return false
  return isCarriedOutBy(saved, await latestRun(session, journalSchema, saved.table, [saved.command]))
}

function isCarriedOutBy({ command, request, now }: SavedPlan, run: Run | undefined): run is Run {
  if (run?.status !== 'done' || run.command !== command) return false
  if (canonicalJson(run.request) !== canonicalJson(request)) return false
  return BigInt(run.startedAt.getTime()) * 1000n >= BigInt(now)
}

/** A run that is resumed has itself changed the table, or put another in its place; its own checks know what else may be. */
function asBefore(now: SavedPlan, { table: { oid }, definition, besides }: SavedPlan): SavedPlan {
  const { besides: _, ...others } = now
  return { ...others, table: { ...now.table, oid }, definition, ...(besides === undefined ? {} : { besides }) }
}

async function describe(
  session: Session,
  { server, name, plan, situation }: Pick<FoundPlan, 'server' | 'name' | 'plan' | 'situation'>,
  { command, request, options: { suffix = '' } }: Given,
): Promise<SavedPlan> {
  const besides = situation === null ? undefined : await command.besides?.(session, situation)
  return describePlan(session, plan, {
    name,
    database: server.database,
    command: command.name,
    request,
    now: server.now,
    suffix,
    ...(besides === undefined ? {} : { besides }),
  })
}

/** What is saved of a plan, with what it is of in the database as it is now. */
export async function describePlan(
  session: Session,
  plan: Pick<Plan, 'steps'>,
  of: Pick<SavedPlan, 'database' | 'command' | 'request' | 'now' | 'suffix' | 'besides'> & { readonly name: TableName },
): Promise<SavedPlan> {
  const { name, request, ...others } = of
  const { oid, digest } = await readDefinition(session, name)
  return savedPlan(plan, {
    ...others,
    version: VERSION,
    system: await readSystemIdentifier(session),
    table: { schema: name.schema, name: name.name, oid },
    definition: digest,
    request: toStored(request),
  })
}
