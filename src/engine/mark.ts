import { readMarkFacts } from '../catalog/mark-facts.ts'
import type { LeafModel } from '../catalog/purge-leaves.ts'
import { readTable } from '../catalog/read-table.ts'
import type { ServerModel } from '../catalog/server-model.ts'
import { inSnapshot, withSession, type Session, type Target } from '../db/session.ts'
import { ObjectionsError, UsageError } from '../errors.ts'
import { journalExists, latestRun, startRun, type Run } from '../journal/journal.ts'
import { isRefused } from '../plan/chosen-rows.ts'
import { columnObjection, markBy, notYetMarked, planMark, refuseMark, type MarkRequest } from '../plan/mark.ts'
import type { PurgePlan } from '../plan/purge.ts'
import { momentBefore, withMatching, type GroupCount } from '../plan/stale.ts'
import { momentLiteral } from '../plan/rebuild.ts'
import { canonicalJson, fromStored, toStored } from '../plan/stored.ts'
import { display, type TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { parsePredicate } from '../sql/predicate.ts'
import { VERSION } from '../version.ts'
import { readChosenRows } from './chosen-rows.ts'
import { readParents } from './stale-groups.ts'
import { arrive, assertLatest, otherRun, type EngineOptions } from './partition.ts'
import { carryOutPurge, type PurgeOptions, type PurgeResult } from './purge.ts'
import { describeSoFar } from './purge/so-far.ts'
import { atWork } from './workplace.ts'

/** What would be marked, and how, or what is left of it. Reads in READ ONLY transactions and changes nothing. */
export async function planMarkOf(
  target: Target,
  written: WrittenName,
  request: MarkRequest,
  options: EngineOptions,
): Promise<PurgePlan> {
  return withSession(target, 'plan mark', async (session) => {
    const { server, name } = await arrive(session, written, options)
    // Where the journal may not be read, the plan says so.
    if (!server.journalUsable) return readPlan(session, server, name, request, options)
    const { runId: id, plan } = await findPlan(session, server, name, request, options)
    if (id === null) return plan
    const evidence = [
      ...(await describeSoFar(session, options.journalSchema, { id, command: 'mark' })),
      ...plan.evidence,
    ]
    return { ...plan, evidence }
  })
}

/**
 * Marks the rows that match and are not marked yet, in batches, or goes on with
 * a run that was interrupted.
 *
 * @throws {ObjectionsError} when there are reasons not to start
 */
export async function mark(
  target: Target,
  written: WrittenName,
  request: MarkRequest,
  options: PurgeOptions,
): Promise<PurgeResult> {
  const { server, name, runId, plan, earlier } = await withSession(target, 'plan mark', async (session) => {
    const arrived = await arrive(session, written, options)
    return { ...arrived, ...(await findPlan(session, arrived.server, arrived.name, request, options)) }
  })
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  if (plan.purge === null)
    return {
      runId: null,
      plan,
      steps: [],
      figures: null,
      remaining: null,
      milliseconds: 0,
      batchesBefore: 0,
      walBytes: 0,
    }
  return atWork({ target, server, ...options, command: 'mark' }, name, async (place) => {
    await assertLatest(place, name, earlier)
    const id =
      runId ??
      (await startRun(place.session, place.journalSchema, {
        command: 'mark',
        table: name,
        request: toStored(request),
        plan: toStored(plan),
        version: VERSION,
      }))
    return carryOutPurge(id, plan, place, options)
  })
}

async function findPlan(
  session: Session,
  server: ServerModel,
  name: TableName,
  request: MarkRequest,
  options: EngineOptions,
): Promise<{ runId: string | null; plan: PurgePlan; earlier: Run | undefined }> {
  const journal = await journalExists(session, options.journalSchema)
  const earlier = journal ? await latestRun<PurgePlan>(session, options.journalSchema, name) : undefined
  if (earlier?.status !== 'running')
    return { runId: null, plan: await readPlan(session, server, name, request, options), earlier }
  const same = canonicalJson(earlier.request) === canonicalJson(toStored(request))
  if (earlier.command !== 'mark' || !same) throw otherRun(earlier)
  return { runId: earlier.id, plan: fromStored(earlier.plan), earlier }
}

/** Nothing is deleted. */
const NOT_NEEDED = ['delete']

async function readPlan(
  session: Session,
  server: ServerModel,
  name: TableName,
  request: MarkRequest,
  { journalSchema }: EngineOptions,
): Promise<PurgePlan> {
  const moment = momentLiteral(server.now)
  const { staleOf } = request
  return inSnapshot(session, async () => {
    const table = await readTable(session, name, server.version)
    if (table === undefined)
      throw new UsageError(`${display(name)} has just been dropped or renamed`, 'Check what happened to it.')
    const column = table.columns.find((one) => one.name === request.column)
    const at = staleOf === undefined ? `'${moment}'::pg_catalog.timestamptz` : momentBefore(moment, staleOf.idle)
    const way = column === undefined ? null : markBy(column, at)
    if (way === null)
      return refuseMark({ server, table, objections: [columnObjection(table, request.column)] }, request)
    const parents = staleOf === undefined ? undefined : await readParents(session, server, staleOf, name, moment)
    if (Array.isArray(parents)) return refuseMark({ server, table, objections: parents }, request)
    const wanted = notYetMarked(parents?.predicate ?? (await parsePredicate(request.where, moment)), way)
    const chosen = await readChosenRows(session, server, name, wanted, journalSchema, NOT_NEEDED)
    if (isRefused(chosen)) return refuseMark(chosen, request)
    const facts = await readMarkFacts(
      session,
      chosen.leaves.map((leaf) => leaf.name),
    )
    return planMark({ ...chosen, leaves: withGroups(chosen.leaves, parents?.count ?? null), facts }, request, way)
  })
}

/** Each group is one row of the parent table. */
function withGroups(leaves: readonly LeafModel[], count: GroupCount | null): readonly LeafModel[] {
  const rows = leaves.reduce((sum, leaf) => sum + (leaf.rows ?? 0), 0)
  return count === null || rows === 0 ? leaves : withMatching(leaves, Math.min(1, count.stale / rows))
}
