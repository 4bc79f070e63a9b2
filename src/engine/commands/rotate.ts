import { afterOthers } from '../after-others.ts'
import { patiently, readPatiently } from '../locks/patiently.ts'
import { resolveTable } from '../../catalog/table/read-table.ts'
import { readServer, type ServerModel } from '../../catalog/server-model.ts'
import { withSession, type Session, type Target } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { withSharedSessions } from '../../db/shared-sessions.ts'
import { EbbError, ObjectionsError, UsageError } from '../../errors.ts'
import { journalExists } from '../../journal/journal.ts'
import { keepJournal as recordRetention } from '../../journal/retention.ts'
import { recordRotated, registeredSets, type RegisteredSet } from '../../journal/sets.ts'
import { LIGHT_PACE } from '../../pacing/limits.ts'
import { notPartitioned, renamed as renamedObjection } from '../../plan/rotate/objections.ts'
import type { RotateRequest } from '../../plan/rotate/request.ts'
import { planForgetting, planRotation, refuse } from '../../plan/rotate/rotate.ts'
import type { RotationPlan, RotationSituation } from '../../plan/rotate/plan.ts'
import type { Plan } from '../../plan/language/step.ts'
import { serverObjections } from '../../plan/table/objections/server.ts'
import { display, sameName, type TableName } from '../../sql/names.ts'
import type { EngineOptions } from '../options.ts'
import { readOfEach } from '../side-by-side.ts'
import { readLeftBehind } from '../runs/left-behind.ts'
import { dueRetiredTables, retireDue, type Retirements } from '../runs/retire-due.ts'
import { readSituation } from '../rotate/read-situation.ts'
import { forEachTable, type Failure } from '../many-tables.ts'
import { forgetAsked, forgetDropped, readForgotten } from '../rotate/forget.ts'
import { isSettled } from '../rotate/settled.ts'
import { emptyReport, failedSet, stopped, type SetReport } from '../rotate/report.ts'
import { rotateSet } from '../rotate/set.ts'
import { planRetireOf } from '../runs/runs.ts'
import { rehearsePartitions } from '../rehearsal.ts'
import { objectionsToTable } from '../first-look.ts'
import { prune, withTable } from '../table-context.ts'

export type { RotateRequest } from '../../plan/rotate/request.ts'
export type { Failure } from '../many-tables.ts'
export type { RetiredPartition, SetReport } from '../rotate/report.ts'

const LIGHT_PACING = { settings: LIGHT_PACE, paceFile: null }

/** The outcome of a rotation, set by set. */
export interface RotationReport {
  readonly sets: readonly SetReport[]
  /** Registered tables that no longer exist: they are no longer registered. */
  readonly forgotten: readonly RegisteredSet[]
  /** Retired tables of copies that were due. */
  readonly retired: Retirements
  /** Whether it was stopped before the end. */
  readonly stopped: boolean
}

/** Plans the rotation of each set. Reads in READ ONLY transactions and changes nothing. */
export async function planRotations(
  target: Target,
  request: RotateRequest,
  options: EngineOptions,
): Promise<RotationPlan[]> {
  const purpose = 'plan rotate'
  return withSession(target, purpose, async (own) => {
    if (request.forget)
      return (await patiently(own, options, () => readForgotten(own, request, options))).map((set) =>
        planForgetting(set, 'asked'),
      )
    const { server, tables, missing, renamed, unresolved } = await patiently(own, options, () =>
      arrive(own, request, options),
    )
    if (unresolved[0] !== undefined) throw unresolved[0].error
    const gone = missing.map((set) => planForgetting({ ...set, until: null, detached: [] }, 'gone'))
    const reading = { session: own, target, purpose, patience: options }
    const plans = await readOfEach(reading, tables, (session, table) =>
      planSet(session, server, table, request, options),
    )
    return [...gone, ...renamed.map(refuseRenamed), ...plans]
  })
}

/**
 * Rotates sets one after the other. Failures are isolated: they are in the report, and the other sets are rotated.
 *
 * @throws {EbbError} only if nothing could be tried at all: no connection, a replica, no such table
 */
export async function rotate(target: Target, request: RotateRequest, options: EngineOptions): Promise<RotationReport> {
  return withSharedSessions(target, async (shared) => {
    if (!request.forget) return rotateAll(shared, request, options)
    const forgotten = await forgetAsked(shared, request, options)
    return { sets: [], forgotten, retired: { dropped: [], failed: [] }, stopped: false }
  })
}

async function rotateAll(target: Target, request: RotateRequest, options: EngineOptions): Promise<RotationReport> {
  const arrived = await readPatiently(target, 'plan rotate', options, (session) => arrive(session, request, options))
  const { server, tables, missing, renamed, unresolved } = arrived
  const impossible = serverObjections(server, options.journalSchema)
  if (impossible.length > 0) throw new ObjectionsError('rotate', { objections: impossible })
  if (tables.length === 0 && unresolved[0] !== undefined) throw unresolved[0].error

  const forgotten = missing.length === 0 ? [] : await forgetDropped(target, missing, options)
  const work = (table: TableName) =>
    afterOthers(target, table, options, () => rotateOne(target, server, table, request, options))
  const sets: SetReport[] = [
    ...unresolved.map(({ what, error }) => failedSet({ schema: '', name: what }, { what, error })),
    ...renamed.map((set) => ({ ...emptyReport(set.table), plan: refuseRenamed(set) })),
    ...(await rotateEach(tables, options, work)),
  ]
  const whose = request.tables === 'all' ? 'all' : tables
  const due = request.notNow !== undefined || sets.some(isStopped) ? [] : await dueRetiredTables(target, whose, options)
  const retired = await retireDue(target, due, options)
  return { sets, forgotten, retired, stopped: options.signal.aborted || sets.some(isStopped) }
}

export async function rotateEach(
  tables: readonly TableName[],
  { signal }: EngineOptions,
  work: (table: TableName) => Promise<SetReport>,
): Promise<SetReport[]> {
  const items = await forEachTable(tables, signal, work, isStopped)
  return items.map((item) => ('result' in item ? item.result : failedRotation(item, signal)))
}

/** What rotate would also drop: the retired tables of copies that are due (`--retire-after`). */
export async function planRetirements(
  target: Target,
  request: RotateRequest,
  options: EngineOptions,
): Promise<(Plan & { readonly runId: string })[]> {
  if (request.forget) return []
  const whose =
    request.tables === 'all'
      ? 'all'
      : (await readPatiently(target, 'plan rotate', options, (session) => arrive(session, request, options))).tables
  const plans: (Plan & { readonly runId: string })[] = []
  for (const { runId } of await dueRetiredTables(target, whose, options))
    plans.push(await planRetireOf(target, { runId }, options))
  return plans
}

/** True if the user interrupted it or the stop file existed. */
export function isStopped({ failed }: SetReport): boolean {
  return failed.some(({ error }) => error instanceof EbbError && error.kind === 'stopped')
}

type RenamedSet = RegisteredSet & { readonly renamedTo: TableName }

function isRenamed(set: RegisteredSet): set is RenamedSet {
  return set.renamedTo !== null
}

/** The plan of one that has another name now. */
export function refuseRenamed({ table, policy, renamedTo }: RenamedSet): RotationPlan {
  return refuse(table, policy, [renamedObjection(table, renamedTo)])
}

export interface Arrival {
  readonly server: ServerModel
  readonly tables: readonly TableName[]
  /** Registered tables that no longer exist. */
  readonly missing: readonly RegisteredSet[]
  /** Registered tables that have another name now. */
  readonly renamed: readonly RenamedSet[]
  /** Names of tables that do not exist. */
  readonly unresolved: readonly Failure[]
}

export async function arrive(
  session: Session,
  request: RotateRequest,
  { journalSchema }: EngineOptions,
): Promise<Arrival> {
  return inSnapshot(session, async () => {
    const server = await readServer(session, journalSchema)
    if (request.tables !== 'all')
      return { server, missing: [], renamed: [], ...(await resolveAll(session, request.tables)) }
    const known = await journalExists(session, journalSchema)
    const sets = known ? await registeredSets(session, journalSchema) : []
    if (sets.length === 0 && !(known && (await retiresLater(session, journalSchema))))
      throw nothingRegistered(server, journalSchema)
    const tables = sets.filter(({ exists }) => exists).map(({ table }) => table)
    const renamed = sets.filter(isRenamed)
    const missing = sets.filter((set) => !set.exists && !isRenamed(set))
    return { server, tables, missing, renamed, unresolved: [] }
  })
}

/** Whether `rotate --all` has a retired table to drop, now or later. */
async function retiresLater(session: Session, journalSchema: string): Promise<boolean> {
  const left = await readLeftBehind(session, journalSchema)
  return left.some(({ goesAt }) => goesAt !== null)
}

/** A scheduled job in the wrong database would otherwise do nothing, day after day, unnoticed. */
function nothingRegistered({ database }: ServerModel, journalSchema: string): UsageError {
  return new UsageError(
    `no table is managed by rotate in database ${database}, according to the journal in schema ${journalSchema}`,
    'Is this the right database, and the right journal (--journal-schema)? To register a partitioned table: ebb rotate <table> --execute; ebb partition registers its tables.',
  )
}

async function resolveAll(
  session: Session,
  written: Exclude<RotateRequest['tables'], 'all'>,
): Promise<Pick<Arrival, 'tables' | 'unresolved'>> {
  const tables: TableName[] = []
  const unresolved: Failure[] = []
  for (const name of written) {
    try {
      const table = await resolveTable(session, name)
      if (!tables.some((other) => sameName(other, table))) tables.push(table)
    } catch (error) {
      if (!(error instanceof EbbError)) throw error
      unresolved.push({ what: name.schema === null ? name.name : display({ ...name, schema: name.schema }), error })
    }
  }
  return { tables, unresolved }
}

/** Plans the rotation of one set in an open session. */
export async function planSet(...given: Parameters<typeof lookAtSet>): Promise<RotationPlan> {
  return (await lookAtSet(...given)).plan
}

/** The plan, and what it depends on; null where that was not read. */
async function lookAtSet(
  session: Session,
  server: ServerModel,
  table: TableName,
  request: RotateRequest,
  options: EngineOptions,
): Promise<{ readonly plan: RotationPlan; readonly situation: RotationSituation | null }> {
  const objections = await objectionsToTable(session, server, table, options, { name: 'rotate' })
  if (objections.length > 0) return { plan: refuse(table, null, objections), situation: null }
  const { journalSchema } = options
  for (const thoroughness of ['glance', 'quick'] as const) {
    const situation = await readSituation(session, server, table, journalSchema, thoroughness, {
      instead: request.policy,
      moment: options.now,
      onlyLooks: options.onlyLooks,
      to: request.to,
      columnar: request.retire === 'columnar',
    })
    if (situation === undefined) break
    const plan = planRotation(situation, request)
    if (thoroughness === 'quick' || !namesPartitions(plan)) return { plan, situation }
  }
  const missing = notPartitioned(table, request.tables === 'all')
  return { plan: refuse(table, null, [missing]), situation: null }
}

/** Whether it is about partitions that are there, whose sizes it says: of most sets nothing has expired since yesterday. */
function namesPartitions({ finalize, leftovers, retire, withheld }: RotationPlan): boolean {
  return finalize.length + leftovers.length + retire.length + withheld.length > 0
}

export async function rotateOne(
  target: Target,
  server: ServerModel,
  table: TableName,
  request: RotateRequest,
  options: EngineOptions,
): Promise<SetReport> {
  const began = performance.now()
  const { plan, settled } = await readPatiently(target, 'plan rotate', options, async (session) => {
    const { plan: planned, situation } = await lookAtSet(session, server, table, request, options)
    if (planned.steps.length > 0) await rehearsePartitions(session, table)
    if (situation === null || !(await isSettled(session, situation, planned, request)))
      return { plan: planned, settled: false }
    await recordSettled(session, table, options)
    return { plan: planned, settled: true }
  })
  // Without a policy there is nothing to do, and no lease to take.
  if (plan.policy === null || isRefused(plan) || settled)
    return { ...emptyReport(table), plan, skipped: plan.skipped, milliseconds: performance.now() - began }
  return withTable({ target, server, pacing: LIGHT_PACING, ...options, command: 'rotate' }, table, (context) =>
    rotateSet(context, table, request, options),
  )
}

/** What a rotation leaves in the journal that has nothing to do. */
async function recordSettled(session: Session, table: TableName, options: EngineOptions): Promise<void> {
  const { journalSchema, keepJournal } = options
  if (keepJournal !== undefined) await recordRetention(session, journalSchema, table, keepJournal)
  await recordRotated(session, journalSchema, table)
  await prune(session, table, options)
}

function failedRotation(
  { target: table, error }: { readonly target: TableName; readonly error: Error },
  { aborted }: AbortSignal,
): SetReport {
  return failedSet(table, { what: `rotate ${display(table)}`, error: aborted ? stopped(table, error) : error })
}

/** An objection to the set as a whole: the plan has no horizon yet. */
function isRefused({ objections, evidence }: RotationPlan): boolean {
  return objections.length > 0 && evidence.length === 0
}
