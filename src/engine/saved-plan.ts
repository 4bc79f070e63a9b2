import { readDefinition } from '../catalog/table/definition.ts'
import { readSystemIdentifier } from '../catalog/server-model.ts'
import type { Session, Target } from '../db/session.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { differences, savedPlan, type SavedPlan } from '../plan/language/saved.ts'
import { canonicalJson, toStored } from '../plan/language/stored.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { VERSION } from '../package.ts'
import type { Command, CommandOutcome, StorablePlan } from './command.ts'
import { readPatiently } from './locks/patiently.ts'
import { newNameSuffix } from './name-suffix.ts'
import type { EngineOptions } from './options.ts'
import { lookUp, planAnew, type FoundPlan, type Given } from './plan-command.ts'

// A plan is saved for review, and executed later if the same is planned again: by the same moment, with the same names.

/** Plans a command, and what to save of the plan: null if it has objections, or nothing is to be done. Changes nothing. */
export async function planToSave<Request>(
  target: Target,
  written: WrittenName,
  command: Command<Request, StorablePlan, unknown, CommandOutcome>,
  request: Request,
  options: EngineOptions,
): Promise<{ readonly plan: StorablePlan; readonly saved: SavedPlan | null }> {
  const given = { command, request, options: { ...options, suffix: newNameSuffix() } }
  return readPatiently(target, `plan ${command.name}`, options, async (session) => {
    const { server, name } = await lookUp(session, written, options)
    const { plan } = await planAnew(session, server, name, given)
    const executable = plan.objections.length === 0 && plan.steps.length > 0
    return { plan, saved: executable ? await describe(session, { server, name, plan }, given) : null }
  })
}

/** The options with which the same is planned again. */
export function asSaved(options: EngineOptions, saved: SavedPlan | null): EngineOptions {
  return saved === null ? options : { ...options, saved, now: saved.now, suffix: saved.suffix }
}

/** @throws {EbbError} when another plan than the saved one would be executed */
export async function assertAsSaved(session: Session, found: FoundPlan, given: Given): Promise<void> {
  const { saved } = given.options
  if (saved === undefined || found.doneBy !== null) return
  const now = await describe(session, found, given)
  const different = differences(saved, found.runId === null ? now : asBefore(now, saved))
  if (different.length === 0) return
  const by = carriedOutBy(saved, found.earlier)
  if (by !== null)
    throw new EbbError(
      `this plan was carried out by run ${by}`,
      { state: NOTHING_CHANGED, next: 'If more is to be done by now, plan again with --plan-out.' },
      'objections',
    )
  throw new EbbError(
    `this is not what was saved: ${different.join('; ')}`,
    { state: NOTHING_CHANGED, next: 'Plan again with --plan-out, and look at the new plan.' },
    'objections',
  )
}

/** The latest run of the table, if it has done since what was saved. */
function carriedOutBy({ command, request, now }: SavedPlan, run: FoundPlan['earlier']): string | null {
  if (run?.status !== 'done' || run.command !== command) return null
  if (canonicalJson(run.request) !== canonicalJson(request)) return null
  return BigInt(run.startedAt.getTime()) * 1000n >= BigInt(now) ? run.id : null
}

/** A run that is resumed has itself changed the table, or put another in its place; its own checks know what else may be. */
function asBefore(now: SavedPlan, { table: { oid }, definition }: SavedPlan): SavedPlan {
  return { ...now, table: { ...now.table, oid }, definition }
}

async function describe(
  session: Session,
  { server, name, plan }: Pick<FoundPlan, 'server' | 'name' | 'plan'>,
  { command, request, options: { suffix = '' } }: Given,
): Promise<SavedPlan> {
  const { oid, digest } = await readDefinition(session, name)
  return savedPlan(plan, {
    version: VERSION,
    system: await readSystemIdentifier(session),
    database: server.database,
    table: { schema: name.schema, name: name.name, oid },
    definition: digest,
    command: command.name,
    request: toStored(request),
    now: server.now,
    suffix,
  })
}
