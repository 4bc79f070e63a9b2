import { randomBytes } from 'node:crypto'
import { readTable } from '../catalog/read-table.ts'
import type { ServerModel } from '../catalog/server-model.ts'
import { readPrivileges, readTakenNames } from '../catalog/situation.ts'
import type { TableModel } from '../catalog/table-model.ts'
import { inSnapshot, readAll, readOne, withSession, type Session, type Target } from '../db/session.ts'
import { ObjectionsError, UsageError } from '../errors.ts'
import { endRun, journalExists, latestRun, startRun, type Run } from '../journal/journal.ts'
import { momentLiteral, planRebuild, type RebuildPlan, type RebuildRequest } from '../plan/rebuild.ts'
import { canonicalJson, fromStored, toStored } from '../plan/stored.ts'
import type { LockTimes } from '../report/events.ts'
import { display, quoted, type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { parsePredicate, type Predicate } from '../sql/predicate.ts'
import { raw, sql } from '../sql/sql.ts'
import { VERSION } from '../version.ts'
import { recordCapture } from './copy/captured.ts'
import { executeRun, type ExecuteOptions, type StepResult } from './execute.ts'
import { arrive, assertLatest, otherRun, type EngineOptions } from './partition.ts'
import { atWork, type Workplace } from './workplace.ts'

export interface RebuildResult {
  readonly runId: string
  readonly plan: RebuildPlan
  readonly steps: readonly StepResult[]
  readonly swap: LockTimes | null
}

/** What would be done. Reads in READ ONLY transactions and changes nothing. */
export async function planRebuildOf(
  target: Target,
  written: WrittenName,
  request: RebuildRequest,
  options: EngineOptions,
): Promise<RebuildPlan> {
  return withSession(target, 'plan rebuild', async (session) => {
    const { server, name } = await arrive(session, written, options)
    return readPlan(session, server, name, request, options)
  })
}

/**
 * Rebuilds a table around the rows worth keeping, or goes on with a rebuild
 * that was interrupted.
 *
 * @throws {ObjectionsError} when there are reasons not to start
 */
export async function rebuild(
  target: Target,
  written: WrittenName,
  request: RebuildRequest,
  options: EngineOptions,
): Promise<RebuildResult> {
  const { server, name, runId, plan, earlier } = await withSession(target, 'plan rebuild', async (session) => {
    const arrived = await arrive(session, written, options)
    return { ...arrived, ...(await findPlan(session, arrived.server, arrived.name, request, options)) }
  })
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  return atWork({ target, server, ...options, command: 'rebuild' }, name, async (place) => {
    await assertLatest(place, name, earlier)
    const id =
      runId ??
      (await startRun(place.session, place.journalSchema, {
        command: 'rebuild',
        table: name,
        request: toStored(request),
        plan: toStored(plan),
        version: VERSION,
      }))
    return carryOutRebuild(id, plan, place, options)
  })
}

/** Takes an agreed plan to its end. */
export async function carryOutRebuild(
  runId: string,
  plan: RebuildPlan,
  place: Workplace,
  options: EngineOptions,
): Promise<RebuildResult> {
  const { session, journalSchema } = place
  const { rebuild } = plan
  if (rebuild === null) throw new Error(`run ${runId} has no rebuild`)
  const alongside: ExecuteOptions['alongside'] = {
    capture: () => recordCapture(session, journalSchema, runId, rebuild.forward),
    swap: () => recordCapture(session, journalSchema, runId, rebuild.back),
  }
  const steps = await executeRun(runId, plan.steps, place, {
    alongside,
    ...(options.patience === undefined ? {} : { patience: options.patience }),
  })
  await endRun(place.session, place.journalSchema, runId, 'done', { steps })
  return { runId, plan, steps, swap: steps.find(({ key }) => key === 'swap')?.lock ?? null }
}

async function findPlan(
  session: Session,
  server: ServerModel,
  name: TableName,
  request: RebuildRequest,
  options: EngineOptions,
): Promise<{ runId: string | null; plan: RebuildPlan; earlier: Run | undefined }> {
  const journal = await journalExists(session, options.journalSchema)
  const earlier = journal ? await latestRun<RebuildPlan>(session, options.journalSchema, name) : undefined
  if (earlier?.status !== 'running')
    return { runId: null, plan: await readPlan(session, server, name, request, options), earlier }
  if (earlier.command !== 'rebuild' || canonicalJson(earlier.request) !== canonicalJson(toStored(request)))
    throw otherRun(earlier)
  return { runId: earlier.id, plan: fromStored(earlier.plan), earlier }
}

async function readPlan(
  session: Session,
  server: ServerModel,
  name: TableName,
  request: RebuildRequest,
  { journalSchema }: EngineOptions,
): Promise<RebuildPlan> {
  const predicate = request.keep === null ? null : await parsePredicate(request.keep, momentLiteral(server.now))
  return inSnapshot(session, async () => {
    const table = await readTable(session, name, server.version)
    if (table === undefined)
      throw new UsageError(`${display(name)} has just been dropped or renamed`, 'Check what happened to it.')
    const { path: searchPath } = await readOne<{ path: string }>(
      session,
      sql`select reset_val as path from pg_settings where name = 'search_path'`,
    )
    return planRebuild(
      {
        server,
        journalSchema,
        table,
        privileges: await readPrivileges(session, table),
        predicate,
        volatile: await readVolatile(session, predicate),
        keptRows: await estimateKept(session, table, predicate, searchPath),
        searchPath,
        taken: await readTakenNames(session, name.schema),
        tag: randomBytes(4).toString('hex'),
      },
      request,
    )
  })
}

async function readVolatile(session: Session, predicate: Predicate | null): Promise<string[]> {
  const names = (predicate?.functions ?? []).map((name) => name.at(-1) ?? '')
  const rows = await readAll<{ name: string }>(
    session,
    sql`select distinct proname as name from pg_proc where proname = any (${names}::text[]) and provolatile = 'v'`,
  )
  return rows.map(({ name }) => name)
}

/** Has the server read the condition, which finds unknown columns and wrong types, and estimate its rows. */
async function estimateKept(
  session: Session,
  table: TableModel,
  predicate: Predicate | null,
  searchPath: string,
): Promise<number> {
  if (predicate === null || table.kind !== 'table') return table.estimatedRows ?? 0
  await session.query('savepoint estimate')
  try {
    await session.query(`set local search_path to ${searchPath === '' ? "''" : searchPath}`)
    const explain = sql`explain (format json) select from ${quoted(table.name)} s where (${raw(predicate.text)}\n)`
    const { rows } = await session.query<{ 'QUERY PLAN': readonly { Plan: { 'Plan Rows': number } }[] }>(explain.text)
    return rows[0]?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0
  } catch (error) {
    throw new UsageError(
      `the condition does not fit ${display(table.name)}: ${error instanceof Error ? error.message : String(error)}`,
      'Use columns and types of the table.',
      error,
    )
  } finally {
    await session.query('rollback to savepoint estimate')
  }
}
