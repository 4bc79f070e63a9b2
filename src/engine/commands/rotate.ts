import { afterOthers } from '../after-others.ts'
import { patiently, readPatiently } from '../locks/patiently.ts'
import { readRunway } from '../../catalog/partitions/runway.ts'
import { resolveTable } from '../../catalog/table/read-table.ts'
import { readServer, type ServerModel } from '../../catalog/server-model.ts'
import { readClock } from '../../db/clock.ts'
import { inSnapshot, inTransaction, withSession, type Session, type Target } from '../../db/session.ts'
import { withSharedSessions } from '../../db/shared-sessions.ts'
import { EbbError, ObjectionsError, UsageError } from '../../errors.ts'
import { journalExists } from '../../journal/journal.ts'
import { migrateJournal } from '../../journal/migrate.ts'
import { keepJournal as recordRetention } from '../../journal/retention.ts'
import { forgetMissing, forgetSet, recordRotated, registeredSets, type RegisteredSet } from '../../journal/sets.ts'
import { begunRetirements } from '../../journal/rotations.ts'
import { LIGHT_PACE } from '../../pacing/limits.ts'
import { notPartitioned } from '../../plan/rotate/objections.ts'
import type { RotateRequest } from '../../plan/rotate/request.ts'
import { planForgetting, planRotation, refuse, type ForgottenSet } from '../../plan/rotate/rotate.ts'
import type { RotationPlan, RotationSituation } from '../../plan/rotate/plan.ts'
import type { SavedPlan } from '../../plan/language/saved.ts'
import type { Plan } from '../../plan/language/step.ts'
import { serverObjections } from '../../plan/table/objections/server.ts'
import { display, sameName, type TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import type { EngineOptions } from '../options.ts'
import { readOfEach } from '../side-by-side.ts'
import { readLeftBehind } from '../runs/left-behind.ts'
import { dueRetiredTables, retireDue, type Retirements } from '../runs/retire-due.ts'
import { readSituation } from '../rotate/read-situation.ts'
import { forEachTable, type Failure } from '../many-tables.ts'
import { onlySaved } from '../../plan/rotate/saved.ts'
import { asSaved, carriedOut, notAsSaved } from '../saved-plan.ts'
import { describeRotation, savedDifferences } from '../rotate/saved-rotation.ts'
import { isSettled } from '../rotate/settled.ts'
import { rotateSet, stopped, type SetReport } from '../rotate/set.ts'
import { planRetireOf } from '../runs/runs.ts'
import { rehearsePartitions } from '../rehearsal.ts'
import { objectionsToTable } from '../first-look.ts'
import { prune, withTable } from '../table-context.ts'

export type { RotateRequest } from '../../plan/rotate/request.ts'
export type { Failure } from '../many-tables.ts'
export type { RetiredPartition, SetReport } from '../rotate/set.ts'

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
    const { server, tables, missing, unresolved } = await patiently(own, options, () => arrive(own, request, options))
    if (unresolved[0] !== undefined) throw unresolved[0].error
    const gone = missing.map((set) => planForgetting({ ...set, until: null, detached: [] }, 'gone'))
    const reading = { session: own, target, purpose, patience: options }
    const plans = await readOfEach(reading, tables, (session, table) =>
      planSet(session, server, table, request, options),
    )
    return [...gone, ...plans]
  })
}

/** Plans, and what to save of them; null if one has objections, or nothing is to be done. */
export async function planRotationsToSave(
  target: Target,
  request: RotateRequest,
  options: EngineOptions,
): Promise<{ readonly plan: readonly RotationPlan[]; readonly saved: readonly SavedPlan[] | null }> {
  return readPatiently(target, 'plan rotate', options, async (session) => {
    const { server, tables, unresolved } = await arrive(session, request, options)
    if (unresolved[0] !== undefined) throw unresolved[0].error
    const { now = String(await readClock(session)) } = options
    const plans: RotationPlan[] = []
    for (const table of tables) plans.push(await planSet(session, server, table, request, { ...options, now }))
    const isExecutable = plans.every(({ objections }) => objections.length === 0)
    if (!isExecutable || plans.every(({ steps }) => steps.length === 0)) return { plan: plans, saved: null }
    const saved: SavedPlan[] = []
    for (const plan of plans) saved.push(await describeRotation(session, { ...server, now }, plan, request))
    return { plan: plans, saved }
  })
}

/**
 * Rotates sets as was saved, one after the other; retired tables of copies are left alone.
 *
 * @throws {EbbError} if another rotation than the saved one would be executed, of any of them
 */
export async function rotateAsSaved(
  target: Target,
  request: RotateRequest,
  options: EngineOptions,
  saved: readonly SavedPlan[],
): Promise<RotationReport> {
  return withSharedSessions(target, async (shared) => {
    const { server, tables } = await readPatiently(shared, 'plan rotate', options, (session) =>
      assertAllAsSaved(session, request, options, saved),
    )
    const work = (table: TableName) => {
      const given = asSaved(options, saved.find((one) => sameName(one.table, table)) ?? null)
      return afterOthers(shared, table, given, () => rotateOne(shared, server, table, request, given))
    }
    const sets = await rotateEach(tables, options, work)
    return {
      sets,
      forgotten: [],
      retired: { dropped: [], failed: [] },
      stopped: options.signal.aborted || sets.some(isStopped),
    }
  })
}

/** All of them, before the first is begun. */
async function assertAllAsSaved(
  session: Session,
  request: RotateRequest,
  options: EngineOptions,
  saved: readonly SavedPlan[],
): Promise<Pick<Arrival, 'server' | 'tables'>> {
  const { server, tables, unresolved } = await arrive(session, { ...request, tables: namesOf(saved) }, options)
  const different = unresolved.map(({ what }) => `${what} no longer exists`)
  let left = 0
  for (const one of saved) {
    const table = tables.find((name) => sameName(name, one.table))
    if (table === undefined) continue
    const plan = await planSet(session, server, table, request, { ...options, now: one.now })
    const planned = { table, plan, request, saved: one }
    const found = await savedDifferences(session, server, planned, options.journalSchema)
    if (found.length > 0) different.push(`${display(table)}: ${found.join('; ')}`)
    left += onlySaved(plan, one).steps.length
  }
  if (different.length > 0) throw notAsSaved(different)
  if (left === 0) throw carriedOut('by rotations since')
  return { server, tables }
}

function namesOf(saved: readonly SavedPlan[]): TableName[] {
  return saved.map(({ table: { schema, name } }) => ({ schema, name }))
}

/**
 * Rotates sets one after the other. Failures are isolated: they are in the report, and the other sets are rotated.
 *
 * @throws {EbbError} only if nothing could be tried at all: no connection, a replica, no such table
 */
export async function rotate(target: Target, request: RotateRequest, options: EngineOptions): Promise<RotationReport> {
  return withSharedSessions(target, (shared) =>
    request.forget ? forgetAsked(shared, request, options) : rotateAll(shared, request, options),
  )
}

async function rotateAll(target: Target, request: RotateRequest, options: EngineOptions): Promise<RotationReport> {
  const arrived = await readPatiently(target, 'plan rotate', options, (session) => arrive(session, request, options))
  const { server, tables, missing, unresolved } = arrived
  const impossible = serverObjections(server, options.journalSchema)
  if (impossible.length > 0) throw new ObjectionsError('rotate', { objections: impossible })
  if (tables.length === 0 && unresolved[0] !== undefined) throw unresolved[0].error

  const forgotten = missing.length === 0 ? [] : await forget(target, missing, options)
  const work = (table: TableName) =>
    afterOthers(target, table, options, () => rotateOne(target, server, table, request, options))
  const sets: SetReport[] = [
    ...unresolved.map(({ what, error }) => failedSet({ schema: '', name: what }, { what, error })),
    ...(await rotateEach(tables, options, work)),
  ]
  const whose = request.tables === 'all' ? 'all' : tables
  const due = sets.some(isStopped) ? [] : await dueRetiredTables(target, whose, options)
  const retired = await retireDue(target, due, options)
  return { sets, forgotten, retired, stopped: options.signal.aborted || sets.some(isStopped) }
}

async function rotateEach(
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
function isStopped({ failed }: SetReport): boolean {
  return failed.some(({ error }) => error instanceof EbbError && error.kind === 'stopped')
}

interface Arrival {
  readonly server: ServerModel
  readonly tables: readonly TableName[]
  /** Registered tables that no longer exist. */
  readonly missing: readonly RegisteredSet[]
  /** Names of tables that do not exist. */
  readonly unresolved: readonly Failure[]
}

async function arrive(session: Session, request: RotateRequest, { journalSchema }: EngineOptions): Promise<Arrival> {
  return inSnapshot(session, async () => {
    const server = await readServer(session, journalSchema)
    if (request.tables !== 'all') return { server, missing: [], ...(await resolveAll(session, request.tables)) }
    const known = await journalExists(session, journalSchema)
    const sets = known ? await registeredSets(session, journalSchema) : []
    if (sets.length === 0 && !(known && (await retiresLater(session, journalSchema))))
      throw nothingRegistered(server, journalSchema)
    const tables = sets.filter(({ exists }) => exists).map(({ table }) => table)
    return { server, tables, missing: sets.filter(({ exists }) => !exists), unresolved: [] }
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

/** Unregisters those that still do not exist. */
async function forget(
  target: Target,
  missing: readonly RegisteredSet[],
  { journalSchema }: EngineOptions,
): Promise<RegisteredSet[]> {
  return withSession(target, 'rotate', async (session) => {
    await migrateJournal(session, journalSchema)
    const forgotten: RegisteredSet[] = []
    for (const set of missing) if (await forgetMissing(session, journalSchema, set.table)) forgotten.push(set)
    return forgotten
  })
}

/** Unregisters tables on request. */
async function forgetAsked(target: Target, request: RotateRequest, options: EngineOptions): Promise<RotationReport> {
  const sets = await readPatiently(target, 'plan rotate', options, (session) =>
    readForgotten(session, request, options),
  )
  const { journalSchema } = options
  await withSession(target, 'rotate', async (session) => {
    await migrateJournal(session, journalSchema)
    await inTransaction(session, {}, async () => {
      for (const { table } of sets) await forgetSet(session, journalSchema, table)
    })
  })
  return { sets: [], forgotten: sets, retired: { dropped: [], failed: [] }, stopped: false }
}

/**
 * The registered sets that are to be forgotten.
 *
 * @throws {UsageError} when one is not registered
 */
async function readForgotten(
  session: Session,
  { tables: written }: RotateRequest,
  { journalSchema }: EngineOptions,
): Promise<(RegisteredSet & ForgottenSet)[]> {
  return inSnapshot(session, async () => {
    const registered = (await journalExists(session, journalSchema)) ? await registeredSets(session, journalSchema) : []
    const found: (RegisteredSet & ForgottenSet)[] = []
    for (const name of written === 'all' ? [] : written) {
      const table = await nameOf(session, name)
      const set = registered.find((one) => sameName(one.table, table))
      if (set === undefined) throw notRegistered(table, journalSchema)
      const runway = set.exists ? await readRunway(session, table, set.policy) : null
      const begun = await begunRetirements(session, journalSchema, table)
      found.push({
        ...set,
        until: runway?.state === 'ends' ? runway.until : null,
        detached: begun.flatMap(({ partition, state }) => (state === 'detached' ? [partition] : [])),
      })
    }
    return found
  })
}

/** A table that was dropped has the name that was written. */
async function nameOf(session: Session, written: WrittenName): Promise<TableName> {
  return resolveTable(session, written).catch((error: unknown) => {
    if (written.schema === null || !(error instanceof UsageError)) throw error
    return { schema: written.schema, name: written.name }
  })
}

function notRegistered(table: TableName, journalSchema: string): UsageError {
  return new UsageError(
    `${display(table)} is not managed by rotate, according to the journal in schema ${journalSchema}`,
    'ebb status lists the tables that are.',
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
  const objections = await objectionsToTable(session, server, table, options)
  if (objections.length > 0) return { plan: refuse(table, null, objections), situation: null }
  const { journalSchema } = options
  for (const thoroughness of ['glance', 'quick'] as const) {
    const situation = await readSituation(
      session,
      server,
      table,
      journalSchema,
      thoroughness,
      request.policy,
      options.now,
    )
    if (situation === undefined) break
    const plan = planRotation(situation, request)
    if (thoroughness === 'quick' || !namesPartitions(plan)) return { plan, situation }
  }
  const missing = notPartitioned(table, request.tables === 'all' ? journalSchema : null)
  return { plan: refuse(table, null, [missing]), situation: null }
}

/** Whether it is about partitions that are there, whose sizes it says: of most sets nothing has expired since yesterday. */
function namesPartitions({ finalize, leftovers, retire, withheld }: RotationPlan): boolean {
  return finalize.length + leftovers.length + retire.length + withheld.length > 0
}

async function rotateOne(
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

function emptyReport(table: TableName): SetReport {
  return {
    table,
    plan: null,
    finalized: [],
    created: [],
    retired: [],
    skipped: [],
    failed: [],
    milliseconds: 0,
    longestLockMs: 0,
    longestWaitCausedMs: 0,
    pace: null,
  }
}

function failedSet(table: TableName, failure: Failure): SetReport {
  return { ...emptyReport(table), failed: [failure] }
}
