import { readCondition, readRowEstimate } from '../../catalog/condition/condition.ts'
import { readUnknownFor } from '../../catalog/partitions/planned-leaves.ts'
import { readLeafFacts, readLeaves } from '../../catalog/partitions/purge-leaves.ts'
import { readReach, type Reach } from '../../catalog/condition/selectivity.ts'
import { readPresentTable, readTable, resolveTable, vanished } from '../../catalog/table/read-table.ts'
import { readReferenceGraph } from '../../catalog/references/reference-graph.ts'
import { inSnapshot, readOne, type Session } from '../../db/session.ts'
import { approveSet } from '../../journal/candidates.ts'
import { at, endRun } from '../../journal/journal.ts'
import { readFigures, type PurgeFigures } from '../../journal/purges.ts'
import { planCascade } from '../../plan/references/cascade.ts'
import { momentLiteral } from '../../plan/language/moment.ts'
import { objectionsToLooking } from '../../plan/purge/objections.ts'
import {
  planAbandonPurge,
  planPurge,
  refusePurge,
  type PurgePlan,
  type PurgeSituation,
} from '../../plan/purge/purge.ts'
import type { PurgeRequest } from '../../plan/purge/request.ts'
import { unknownNodeObjections } from '../../plan/table/objections/unknown-nodes.ts'
import { rowsOfStale, staleSince, withMatching } from '../../plan/purge/stale.ts'
import type { TableName } from '../../sql/names.ts'
import { parsePredicate, type Predicate } from '../../sql/predicate.ts'
import { sql } from '../../sql/sql.ts'
import { Refusal, type Command, type Planning } from '../command.ts'
import { readGroupCount, readSince } from '../purge/stale-groups.ts'
import { readLeavesOfSet, readSetFor } from '../purge/candidate-set.ts'
import { assertFoundAgain, assertHarmless, rowsOf } from '../found-again.ts'
import { readKeyColumns } from '../purge/key-columns.ts'
import { executeRun, type StepResult } from '../execute.ts'
import type { Remaining } from '../purge/check.ts'
import { measureLookUps } from '../purge/reference-cost.ts'
import type { RunContext } from '../table-context.ts'

/** The outcome of a purge. */
export interface PurgeResult {
  /** Null where there was nothing to do. */
  readonly runId: string | null
  readonly plan: PurgePlan
  /** Of this call; those an earlier call had done are not repeated. */
  readonly steps: readonly StepResult[]
  /** Over all calls of the run. */
  readonly figures: PurgeFigures | null
  /** Rows matching at the end. */
  readonly remaining: Remaining | null
  /** From the first call to the end, including the time between calls. */
  readonly milliseconds: number
  /** The work of earlier calls. */
  readonly batchesBefore: number
  /** Written by the whole server during this call. */
  readonly walBytes: number
}

/** Deletes the matching rows, in batches. */
export const purge: Command<PurgeRequest, PurgePlan, StoredSituation, PurgeResult> = {
  name: 'purge',
  worksInBatches: true,
  refused: (plan) => ({ ...plan, purge: null }),
  ofAnyStorage: true,
  read: readSituation,
  plan: (situation, request) =>
    planPurge({ ...situation, cascade: planCascade(situation.graph, situation.around) }, request),
  verify: verifySituation,
  // An incomplete set is an objection.
  knowsOf: ({ command, id }, request) => command === 'candidates' && id === request.candidates?.set,
  nothingToDo,
  async beforeBegin({ session, journalSchema }, { candidates }) {
    if (candidates !== undefined) await approveSet(session, journalSchema, candidates.set, candidates)
  },
  carryOut: carryOutPurge,
  abandon: (run) => planAbandonPurge(run.id, run.table),
}

/** If no row matches. */
export function nothingToDo(plan: PurgePlan): PurgeResult | null {
  if (plan.purge !== null) return null
  const none = { figures: null, remaining: null, milliseconds: 0, batchesBefore: 0, walBytes: 0 }
  return { runId: null, plan, steps: [], ...none }
}

/** Executes the plan. */
export async function carryOutPurge(run: RunContext, plan: PurgePlan): Promise<PurgeResult & { runId: string }> {
  const { session, journalSchema, runId } = run
  const walBefore = await walPosition(session)
  const { batches: batchesBefore } = await readFigures(session, journalSchema, runId)
  const steps = await executeRun(run, plan.steps)
  const figures = await readFigures(session, journalSchema, runId)
  const { remaining, milliseconds } = await readCourse(session, journalSchema, runId)
  const walBytes = (await walPosition(session)) - walBefore
  await endRun(session, journalSchema, runId, 'done', { figures, remaining, walBytes })
  return { runId, plan, steps, figures, remaining, milliseconds, batchesBefore, walBytes }
}

async function walPosition(session: Session): Promise<number> {
  const { bytes } = await readOne<{ bytes: number }>(
    session,
    sql`select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as bytes`,
  )
  return bytes
}

async function readCourse(
  session: Session,
  schema: string,
  runId: string,
): Promise<{ remaining: Remaining | null; milliseconds: number }> {
  return readOne(
    session,
    sql`select outcome as remaining, (extract(epoch from clock_timestamp() - started_at) * 1000)::float8 as milliseconds
        from ${at(schema, 'run')} where id = ${runId}`,
  )
}

/** Fails closed: if something else selects the rows, there is no condition to use by mistake. */
const BY_ITSELF: Predicate = { written: 'false', text: 'false', uses: null }
/** A set never deletes rows it does not contain. */
const SPARING: Reach = { selectsSome: null, sparesSome: true }

/** Without a condition by the user. */
function isByItself({ candidates, stale }: PurgeRequest): boolean {
  return candidates !== undefined || stale !== undefined
}

/** The cascade follows from the graph. */
type StoredSituation = Omit<PurgeSituation, 'cascade'>

async function readSituation(
  { session, server, options: { journalSchema } }: Planning,
  name: TableName,
  request: PurgeRequest,
): Promise<StoredSituation | Refusal<PurgePlan>> {
  const choice = request.candidates
  const moment = momentLiteral(server.now)
  const written = isByItself(request) ? BY_ITSELF : await parsePredicate(request.where, moment)
  return inSnapshot(session, async () => {
    const protect: TableName[] = []
    for (const table of request.protect) protect.push(await resolveTable(session, table))
    const table = await readTable(session, name, server.version)
    const [itself] = await readLeafFacts(session, [name])
    if (table === undefined || itself === undefined) throw vanished(name)
    const condition = await readCondition(session, name, written)
    const early = objectionsToLooking({ server, journalSchema, table, itself, condition }, request)
    if (early.length > 0) return new Refusal(refusePurge({ server, table }, request, early))
    const since = request.stale === undefined ? undefined : readSince(table, request.stale, moment)
    if (Array.isArray(since)) return new Refusal(refusePurge({ server, table }, request, since))
    const predicate = since === undefined ? written : rowsOfStale(since)
    const set = choice === undefined ? undefined : await readSetFor(session, journalSchema, choice, table)
    const settings = set?.settings ?? condition.settings
    // Shows with a caret where the condition does not fit the table.
    if (set === undefined) await readRowEstimate(session, name, predicate, settings)
    const unknown = set === undefined ? await readUnknownFor(session, name, predicate.text, settings) : []
    if (unknown.length > 0)
      return new Refusal(refusePurge({ server, table }, request, unknownNodeObjections(name, unknown)))
    const groups = since === undefined ? undefined : await readGroupCount(session, since)
    const found =
      set === undefined
        ? await readLeaves(session, name, predicate, settings, request.orderBy)
        : await readLeavesOfSet(session, set)
    const leaves = groups ? withMatching(found, groups.stale / Math.max(groups.groups, 1)) : found
    const reach = set === undefined ? await readReach(session, name, leaves, predicate, settings) : SPARING
    const graph = await readReferenceGraph(session, name)
    const around = { cascade: request.cascade, protect }
    const lookUps = await measureLookUps(session, planCascade(graph, around).walked)
    const read = { server, table, itself, predicate, leaves, reach, condition, graph, around, lookUps }
    const chosenBy = { ...(set === undefined ? {} : { candidates: set }), ...(groups === undefined ? {} : { groups }) }
    return { ...read, ...chosenBy }
  })
}

async function verifySituation(
  { session, server }: Planning,
  name: TableName,
  { candidates, ...situation }: StoredSituation,
  request: PurgeRequest,
): Promise<void> {
  const moment = momentLiteral(situation.server.now)
  const table = await readPresentTable(session, name, server.version)
  const since = request.stale === undefined ? null : staleSince(table, request.stale, moment)
  const written = isByItself(request) ? BY_ITSELF : await parsePredicate(request.where, moment)
  await assertHarmless(session, name, written)
  const leaves = situation.leaves.map((leaf) => leaf.name)
  const key = candidates === undefined ? null : await readKeyColumns(session, table)
  const set = candidates === undefined ? null : { key: candidates.key, place: candidates.place }
  assertFoundAgain(
    name,
    [rowsOf(situation), set],
    [
      [server, table, key, name, situation.around.protect],
      since === null ? written : rowsOfStale(since),
      await readLeafFacts(session, [name, ...leaves]),
      await readReferenceGraph(session, name),
    ],
  )
}
