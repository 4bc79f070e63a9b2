import { randomBytes } from 'node:crypto'
import { readRowEstimate } from '../catalog/condition.ts'
import { readLeftOutReferences } from '../catalog/left-out.ts'
import type { ServerModel } from '../catalog/server-model.ts'
import type { TableModel } from '../catalog/table-model.ts'
import { inSnapshot, readOne, withSession, type Session, type Target } from '../db/session.ts'
import { ObjectionsError } from '../errors.ts'
import { endRun, journalExists, latestRun, startRun, type Run } from '../journal/journal.ts'
import { registerSet } from '../journal/sets.ts'
import { keepingOf, withReferences } from '../plan/left-out.ts'
import { noRoom } from '../plan/no-room.ts'
import type { RebuildPlan } from '../plan/rebuild.ts'
import { canonicalJson, fromStored, toStored } from '../plan/stored.ts'
import type { LockTimes } from '../report/events.ts'
import type { TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { sql } from '../sql/sql.ts'
import { VERSION } from '../version.ts'
import { recordCapture } from './copy/captured.ts'
import { executeRun, type ExecuteOptions, type StepResult } from './execute.ts'
import { arrive, assertLatest, otherRun, type EngineOptions } from './partition.ts'
import { atWork, type Workplace } from './workplace.ts'

// What all commands that copy have in common: plan, or find the plan that was
// agreed to; then carry it out to its end.

/** Commands whose runs copy a table; the names stand in the journal. */
export const COPY_COMMANDS = ['rebuild', 'partition-copy', 'split']

export interface CopyCommand {
  readonly name: string
  readonly request: unknown
  readonly readPlan: (session: Session, server: ServerModel, table: TableName) => Promise<RebuildPlan>
}

export interface CopyResult {
  readonly runId: string
  readonly plan: RebuildPlan
  /** Of this call; those an earlier call had done are not repeated. */
  readonly steps: readonly StepResult[]
  readonly swap: LockTimes | null
}

export async function planCopy(
  target: Target,
  written: WrittenName,
  command: CopyCommand,
  options: EngineOptions,
): Promise<RebuildPlan> {
  return withSession(target, `plan ${command.name}`, async (session) => {
    const { server, name } = await arrive(session, written, options)
    return readPlan(session, server, name, command, options)
  })
}

/** Starts a copy, or goes on with the one that was interrupted. */
export async function runCopy(
  target: Target,
  written: WrittenName,
  command: CopyCommand,
  options: EngineOptions,
): Promise<CopyResult> {
  const { server, name, runId, plan, earlier } = await withSession(target, `plan ${command.name}`, async (session) => {
    const arrived = await arrive(session, written, options)
    return { ...arrived, ...(await findPlan(session, arrived.server, arrived.name, command, options)) }
  })
  if (isDone(earlier, command, plan))
    return { runId: earlier.id, plan: fromStored(earlier.plan) as RebuildPlan, steps: [], swap: null }
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  return atWork({ target, server, ...options, command: command.name }, name, async (place) => {
    await assertLatest(place, name, earlier)
    const stored = {
      command: command.name,
      table: name,
      request: toStored(command.request),
      plan: toStored(plan),
      version: VERSION,
    }
    const id = runId ?? (await startRun(place.session, place.journalSchema, stored))
    return carryOutCopy(id, plan, place, options)
  })
}

async function readPlan(
  session: Session,
  server: ServerModel,
  name: TableName,
  command: CopyCommand,
  options: EngineOptions,
): Promise<RebuildPlan> {
  const plan = withRoom(await command.readPlan(session, server, name), options)
  const keeping = keepingOf(plan)
  if (keeping === null) return plan
  return withReferences(plan, keeping, await inSnapshot(session, () => readLeftOutReferences(session, keeping)))
}

/** The plan, or an objection to it where it is known that there is not disk enough. */
function withRoom<Copy extends RebuildPlan>(plan: Copy, { diskFree }: EngineOptions): Copy {
  const needed = plan.rebuild?.diskBytes
  if (diskFree === undefined || needed === undefined || needed <= diskFree) return plan
  return { ...plan, steps: [], rebuild: null, objections: [...plan.objections, noRoom(needed, diskFree)] }
}

/** The same command again, when the only thing in its way is that it has been carried out. */
function isDone(earlier: Run | undefined, command: CopyCommand, plan: RebuildPlan): earlier is Run {
  return (
    earlier?.status === 'done' &&
    earlier.command === command.name &&
    canonicalJson(earlier.request) === canonicalJson(toStored(command.request)) &&
    plan.objections.some(({ code }) => code === 'partitioned')
  )
}

/** Takes an agreed plan to its end. */
export async function carryOutCopy(
  runId: string,
  plan: RebuildPlan,
  place: Workplace,
  options: EngineOptions,
): Promise<CopyResult> {
  const { session, journalSchema } = place
  const { rebuild } = plan
  if (rebuild === null) throw new Error(`run ${runId} has no rebuild`)
  const alongside: ExecuteOptions['alongside'] = {
    capture: () => [recordCapture(session, journalSchema, runId, rebuild.forward, 'all')],
    swap: () => [
      recordCapture(session, journalSchema, runId, rebuild.back, 'of partitions'),
      ...(rebuild.policy === null ? [] : [registerSet(session, journalSchema, plan.table, rebuild.policy, runId)]),
    ],
  }
  const steps = await executeRun(runId, plan.steps, place, {
    alongside,
    ...(options.patience === undefined ? {} : { patience: options.patience }),
  })
  await endRun(session, journalSchema, runId, 'done', { steps })
  return { runId, plan, steps, swap: steps.find(({ key }) => key === 'swap')?.lock ?? null }
}

async function findPlan(
  session: Session,
  server: ServerModel,
  name: TableName,
  command: CopyCommand,
  options: EngineOptions,
): Promise<{ runId: string | null; plan: RebuildPlan; earlier: Run | undefined }> {
  const journal = await journalExists(session, options.journalSchema)
  const earlier = journal ? await latestRun<RebuildPlan>(session, options.journalSchema, name) : undefined
  if (earlier?.status !== 'running')
    return { runId: null, plan: await readPlan(session, server, name, command, options), earlier }
  const same = canonicalJson(earlier.request) === canonicalJson(toStored(command.request))
  if (earlier.command !== command.name || !same) throw otherRun(earlier)
  return { runId: earlier.id, plan: fromStored(earlier.plan), earlier }
}

/**
 * Plans a copy of `source`. Which rows are kept is known from the plan, and how many they are is asked of the
 * server's planner afterwards, so where rows are left out it is made once more with that.
 */
export async function withKeptRows<Copy extends RebuildPlan>(
  session: Session,
  source: TableModel,
  searchPath: string,
  plan: (keptRows: number) => Copy,
): Promise<Copy> {
  const keepingAll = plan(source.estimatedRows ?? 0)
  const keep = keepingAll.rebuild?.forward.keep ?? null
  return keep === null
    ? keepingAll
    : plan(await readRowEstimate(session, source.name, { written: keep, text: keep }, searchPath))
}

/** The search path that the role would have by itself: conditions are written under it. */
export async function readSearchPath(session: Session): Promise<string> {
  const { path } = await readOne<{ path: string }>(
    session,
    sql`select reset_val as path from pg_settings where name = 'search_path'`,
  )
  return path
}

/** Part of the names of a run's helpers, so that they are unlike those of any other. */
export function newTag(): string {
  return randomBytes(4).toString('hex')
}
