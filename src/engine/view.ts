import { readRowEstimate, readVolatile } from '../catalog/condition.ts'
import { readTable } from '../catalog/read-table.ts'
import type { ServerModel } from '../catalog/server-model.ts'
import { inSnapshot, readOne, withSession, type Session, type Target } from '../db/session.ts'
import { ObjectionsError, UsageError } from '../errors.ts'
import { endRun, journalExists, latestRun, startRun } from '../journal/journal.ts'
import { momentLiteral } from '../plan/rebuild.ts'
import { canonicalJson, fromStored, toStored } from '../plan/stored.ts'
import { planView, type ViewPlan, type ViewRequest } from '../plan/view.ts'
import { companion, display, type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { parsePredicate } from '../sql/predicate.ts'
import { sql } from '../sql/sql.ts'
import { VERSION } from '../version.ts'
import { readSearchPath } from './copy-run.ts'
import { executeRun, type StepResult } from './execute.ts'
import { arrive, assertLatest, otherRun, type EngineOptions } from './partition.ts'
import { atWork, type Workplace } from './workplace.ts'

/** A view: its name, null for `<table>_live` beside the table, and what it hides. */
export interface ViewOrder extends ViewRequest {
  readonly name: WrittenName | null
}

export interface ViewResult {
  readonly runId: string
  readonly plan: ViewPlan
  readonly steps: readonly StepResult[]
}

/** What would be made. Reads in READ ONLY transactions and changes nothing. */
export async function planViewOf(
  target: Target,
  written: WrittenName,
  order: ViewOrder,
  options: EngineOptions,
): Promise<ViewPlan> {
  return withSession(target, 'plan view', async (session) => {
    const { server, name } = await arrive(session, written, options)
    return readPlan(session, server, name, order, options)
  })
}

/**
 * Makes a view that hides what is marked or expired, or brings it up to date.
 *
 * @throws {ObjectionsError} when there are reasons not to start
 */
export async function keepView(
  target: Target,
  written: WrittenName,
  order: ViewOrder,
  options: EngineOptions,
): Promise<ViewResult> {
  const { server, name, earlier, plan } = await withSession(target, 'plan view', async (session) => {
    const arrived = await arrive(session, written, options)
    const journal = await journalExists(session, options.journalSchema)
    const earlier = journal ? await latestRun<ViewPlan>(session, options.journalSchema, arrived.name) : undefined
    const begun = earlier?.status === 'running' ? earlier : undefined
    if (begun !== undefined && !(begun.command === 'view' && isSame(begun.request, order))) throw otherRun(begun)
    const plan =
      begun === undefined
        ? await readPlan(session, arrived.server, arrived.name, order, options)
        : fromStored(begun.plan)
    return { ...arrived, earlier, plan }
  })
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  return atWork({ target, server, ...options, command: 'view' }, name, async (place) => {
    await assertLatest(place, name, earlier)
    const run = { command: 'view', table: name, request: toStored(order), plan: toStored(plan), version: VERSION }
    const runId = earlier?.status === 'running' ? earlier.id : await startRun(place.session, place.journalSchema, run)
    return carryOutView(runId, plan, place, options)
  })
}

/** Takes an agreed plan to its end. */
export async function carryOutView(
  runId: string,
  plan: ViewPlan,
  place: Workplace,
  { patience }: EngineOptions,
): Promise<ViewResult> {
  const steps = await executeRun(runId, plan.steps, place, patience === undefined ? {} : { patience })
  await endRun(place.session, place.journalSchema, runId, 'done', { view: plan.view })
  return { runId, plan, steps }
}

function isSame(request: unknown, order: ViewOrder): boolean {
  return canonicalJson(request) === canonicalJson(toStored(order))
}

async function readPlan(
  session: Session,
  server: ServerModel,
  table: TableName,
  { name: given, ...request }: ViewOrder,
  { journalSchema }: EngineOptions,
): Promise<ViewPlan> {
  const expired = request.expired === null ? null : await parsePredicate(request.expired, momentLiteral(server.now))
  return inSnapshot(session, async () => {
    const model = await readTable(session, table, server.version)
    if (model === undefined)
      throw new UsageError(`${display(table)} has just been dropped or renamed`, 'Check what happened to it.')
    const searchPath = await readSearchPath(session)
    // No row is counted here, so policies that hide some are no reason not to look at the condition.
    await session.query('set local row_security = on')
    if (expired !== null) await readRowEstimate(session, table, expired, searchPath)
    const name = nameOf(table, given)
    const situation = {
      server,
      journalSchema,
      table: model,
      name,
      existing: (await readTable(session, name, server.version)) ?? null,
      expired,
      volatile: await readVolatile(session, expired),
      searchPath,
      mayCreate: await mayCreateIn(session, name.schema),
    }
    return planView(situation, request)
  })
}

function nameOf(table: TableName, given: WrittenName | null): TableName {
  if (given === null) return { schema: table.schema, name: companion(table.name, '_live') }
  return { schema: given.schema ?? table.schema, name: given.name }
}

async function mayCreateIn(session: Session, schema: string): Promise<boolean> {
  const { may } = await readOne<{ may: boolean }>(
    session,
    sql`select coalesce((select has_schema_privilege(oid, 'create') from pg_namespace where nspname = ${schema}), false) as may`,
  )
  return may
}
