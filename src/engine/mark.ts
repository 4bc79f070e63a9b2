import { readMarkFacts } from '../catalog/mark-facts.ts'
import type { LeafModel } from '../catalog/purge-leaves.ts'
import { readPresentTable } from '../catalog/read-table.ts'
import type { ServerModel } from '../catalog/server-model.ts'
import { inSnapshot, type Session, type Target } from '../db/session.ts'
import { ObjectionsError } from '../errors.ts'
import { isRefused } from '../plan/chosen-rows.ts'
import { columnObjection, markBy, notYetMarked, planMark, refuseMark, type MarkRequest } from '../plan/mark.ts'
import { momentBefore, momentLiteral } from '../plan/moment.ts'
import type { PurgePlan } from '../plan/purge.ts'
import { withMatching, type GroupCount } from '../plan/stale.ts'
import type { TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { parsePredicate } from '../sql/predicate.ts'
import { agreedPlan, beginRun, type Command } from './agreed.ts'
import { readChosenRows } from './chosen-rows.ts'
import type { EngineOptions } from './options.ts'
import { readParents } from './stale-groups.ts'
import { carryOutPurge, nothingToDo, planOrRest, type PurgeOptions, type PurgeResult } from './purge.ts'
import { atWork } from './workplace.ts'

/** What would be marked, and how, or what is left of it. Reads in READ ONLY transactions and changes nothing. */
export function planMarkOf(
  target: Target,
  written: WrittenName,
  request: MarkRequest,
  options: EngineOptions,
): Promise<PurgePlan> {
  return planOrRest(target, written, commandOf(request, options), options)
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
  const command = commandOf(request, options)
  const agreed = await agreedPlan(target, written, command, options)
  const { server, name, plan } = agreed
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  if (plan.purge === null) return nothingToDo(plan)
  return atWork({ target, server, ...options, command: command.name }, name, async (place) => {
    const runId = await beginRun(place, command, agreed)
    return carryOutPurge(runId, plan, place, options)
  })
}

/** Nothing is deleted. */
const NOT_NEEDED = ['delete']

function commandOf(request: MarkRequest, options: EngineOptions): Command<PurgePlan> {
  return {
    name: 'mark',
    request,
    readPlan: (session, server, name) => readPlan(session, server, name, request, options),
    refused: (plan) => ({ ...plan, purge: null }),
    ofAnyStorage: true,
  }
}

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
    const table = await readPresentTable(session, name, server.version)
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
