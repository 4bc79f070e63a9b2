import { readCondition } from '../../catalog/condition/condition.ts'
import { readLeafFacts } from '../../catalog/partitions/purge-leaves.ts'
import type { Reach } from '../../catalog/condition/selectivity.ts'
import { readPresentTable, readTable, resolveTable, vanished } from '../../catalog/table/read-table.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { readReferenceGraph } from '../../catalog/references/reference-graph.ts'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import type { ReceiptEntry } from '../../journal/archives.ts'
import { approveSet } from '../../journal/candidates.ts'
import { at, endRun } from '../../journal/journal.ts'
import { forgetBatches, readFigures, type PurgeFigures } from '../../journal/purges.ts'
import { planCascade, type Cascade } from '../../plan/references/cascade.ts'
import { holdObjections } from '../../plan/language/hold.ts'
import { momentLiteral } from '../../plan/language/moment.ts'
import { unaccepted } from '../../plan/language/objection.ts'
import type { Objection } from '../../plan/language/step.ts'
import { objectionsToLooking } from '../../plan/purge/objections.ts'
import { planAbandonPurge, planPurge, refusePurge, type PurgePlan } from '../../plan/purge/purge.ts'
import type { PurgeRequest } from '../../plan/purge/request.ts'
import type { PurgeSituation } from '../../plan/purge/situation.ts'
import { candidatesObjection } from '../../plan/purge/stored.ts'
import { RECORDING } from '../../plan/purge/set-steps.ts'
import { rowsOfStale, staleSince, withMatching } from '../../plan/purge/stale.ts'
import type { PurgeWork } from '../../plan/purge/work.ts'
import { distinctNames, sameName, type TableName } from '../../sql/names.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { parsePredicate, type Predicate } from '../../sql/predicate.ts'
import { sql } from '../../sql/sql.ts'
import { Refusal, type Command, type Planning } from '../command.ts'
import { assertComputedAlike, assertStoredAsPlanned, isStoredByCitus, readMatching } from '../purge/chosen-rows.ts'
import { readGroupCount, readSince } from '../purge/stale-groups.ts'
import { readLeavesOfSet, readSetFor } from '../purge/candidates/candidate-set.ts'
import { readHolds } from '../first-look.ts'
import { nameSuffix } from '../name-suffix.ts'
import { readLeftHelpersOf } from '../runs/helper-indexes.ts'
import { assertFoundAgain, assertHarmless, rowsOf } from '../found-again.ts'
import { readKeyColumns } from '../purge/candidates/key-columns.ts'
import { withTriedStore } from '../archive/with-store.ts'
import { executeRun, type Alongside, type StepResult } from '../execute.ts'
import type { Remaining } from '../purge/check.ts'
import { archiveOf, assertStillStored } from '../purge/archive/archive-set.ts'
import { readArchiving, readDependents, readStoredKind } from '../purge/archive/read-archiving.ts'
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
  /** The receipt of the rows archived first; null where none were. */
  readonly archive: ReceiptEntry | null
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
  removes: () => true,
  removesAlso: ({ steps }) => steps.flatMap((step) => (step.kind === 'purge' ? deletedWith(step.work) : [])),
  refused: (plan) => ({ ...plan, purge: null }),
  ofAnyStorage: true,
  read: readSituation,
  plan: (situation, request) =>
    planPurge({ ...situation, cascade: planCascade(situation.graph, situation.around) }, request),
  verify: verifySituation,
  // They would be among the indexes that another run copies, or finds changed.
  others: ({ table, helpers = [] }) =>
    distinctNames(helpers.map((one) => one.table)).filter((one) => !sameName(one, table)),
  // An incomplete set is an objection.
  knowsOf: ({ command, id }, { rows }) => command === 'candidates' && rows.kind === 'candidates' && id === rows.set,
  nothingToDo,
  async beforeBegin({ session, journalSchema, signal }, { rows, archive }) {
    // A run whose store is mistyped could only be abandoned, after all keys have been recorded.
    if (archive !== undefined) await withTriedStore(archive, signal, async () => {})
    if (rows.kind === 'candidates') await approveSet(session, journalSchema, rows.set, rows)
  },
  carryOut: carryOutPurge,
  abandon: (run) => planAbandonPurge(run.id, run.table, run.plan),
}

function deletedWith({ dependents }: PurgeWork): readonly TableName[] {
  const companions = dependents.companions.flatMap(({ table }) => table ?? [])
  return distinctNames([...companions, ...(dependents.stored ?? []).map(({ table }) => table)])
}

/** If no row matches. */
export function nothingToDo(plan: PurgePlan): PurgeResult | null {
  if (plan.purge !== null) return null
  const none = { figures: null, remaining: null, archive: null, milliseconds: 0, batchesBefore: 0, walBytes: 0 }
  return { runId: null, plan, steps: [], ...none }
}

/** Executes the plan. */
export async function carryOutPurge(run: RunContext, plan: PurgePlan): Promise<PurgeResult & { runId: string }> {
  const { session, journalSchema, runId } = run
  if (plan.archivedKeys !== undefined) await assertStillStored(run)
  const walBefore = await walPosition(session)
  const { batches: batchesBefore } = await readFigures(session, journalSchema, runId)
  // With the recording of keys its batches are forgotten: those in the journal are then of deletions alone.
  const alongside: Alongside = { [RECORDING]: () => [forgetBatches(session, journalSchema, runId)] }
  const steps = await executeRun(run, plan.steps, plan.archivedKeys === undefined ? {} : alongside)
  const figures = await readFigures(session, journalSchema, runId)
  const { remaining, milliseconds } = await readCourse(session, journalSchema, runId)
  const walBytes = (await walPosition(session)) - walBefore
  const archive = plan.archivedKeys === undefined ? null : ((await archiveOf(run))?.receipt ?? null)
  await endRun(session, journalSchema, runId, 'done', { figures, remaining, archive, walBytes })
  return { runId, plan, steps, figures, remaining, archive, milliseconds, batchesBefore, walBytes }
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
const NO_CONDITION: Predicate = { written: 'false', text: 'false', uses: null }
/** A set never deletes rows it does not contain. */
const SPARING: Reach = { selectsSome: null, sparesSome: true }

async function conditionOf({ rows }: PurgeRequest, moment: string): Promise<Predicate> {
  return rows.kind === 'matching' ? parsePredicate(rows.where, moment) : NO_CONDITION
}

/** The cascade follows from the graph. */
type StoredSituation = Omit<PurgeSituation, 'cascade'>

async function readSituation(
  planning: Planning,
  name: TableName,
  request: PurgeRequest,
): Promise<StoredSituation | Refusal<PurgePlan>> {
  const { session, server, options } = planning
  const written = await conditionOf(request, momentLiteral(server.now))
  return inSnapshot(session, async () => {
    const protect: TableName[] = []
    for (const table of request.protect) protect.push(await resolveTable(session, table))
    const table = await readTable(session, name, server.version)
    const [itself] = await readLeafFacts(session, [name])
    if (table === undefined || itself === undefined) throw vanished(name)
    const condition = await readCondition(session, name, written)
    const before = { server, journalSchema: options.journalSchema, table, itself, condition }
    const early = objectionsToLooking(before, request)
    const selected =
      early.length > 0 ? early : await readSelected(planning, table, request, written, condition.settings)
    if (Array.isArray(selected)) return new Refusal(refusePurge({ server, table }, request, selected))
    const graph = await readReferenceGraph(session, name)
    const around = { cascade: request.cascade, protect }
    const cascade = planCascade(graph, around)
    const held = await readHeld(planning, cascade, request)
    if (held.length > 0) return new Refusal(refusePurge({ server, table }, request, held))
    const lookUps = await measureLookUps(session, cascade.walked)
    const helpers = await readHelperFacts(planning, cascade)
    const { archive } = request
    const rows = { table, cascade, settings: condition.settings, ...selected }
    const archiving = archive === undefined ? {} : { archiving: await readArchiving(planning, rows, archive) }
    return { server, table, itself, condition, graph, around, lookUps, ...helpers, ...archiving, ...selected }
  })
}

/** Where nothing references the table there are none. */
async function readHelperFacts(
  { session, server, options }: Planning,
  { walked }: Cascade,
): Promise<Pick<PurgeSituation, 'helpers'>> {
  if (walked.length === 0) return {}
  const tables = [...new Set(walked.map(({ from }) => from.oid))]
  // If the journal may not be read, the plan says so.
  const left = server.journalUsable ? await readLeftHelpersOf(session, options.journalSchema, tables) : []
  return { helpers: { tag: nameSuffix(options), left } }
}

/** Rows of other tables that are on hold, and would be deleted too; those of the table itself are looked for before. */
async function readHeld({ session, server, options }: Planning, cascade: Cascade, { accept }: PurgeRequest) {
  if (!server.journalUsable) return []
  const objections: Objection[] = []
  for (const { name } of cascade.emptied.slice(1))
    objections.push(...holdObjections(await readHolds(session, options.journalSchema, name)))
  return unaccepted(objections, accept)
}

type Selected = Pick<PurgeSituation, 'predicate' | 'leaves' | 'reach' | 'candidates' | 'groups'>

/** The rows selected by the source that the request names, or objections. */
async function readSelected(
  { session, server, options }: Planning,
  table: TableModel,
  { rows, orderBy }: PurgeRequest,
  written: Predicate,
  settings: ConditionSettings,
): Promise<Selected | Objection[]> {
  switch (rows.kind) {
    case 'matching':
      return readMatching(session, table.name, written, settings, orderBy)
    case 'candidates': {
      if (await isStoredByCitus(session, table.name)) return [candidatesObjection(table.name)]
      const candidates = await readSetFor(session, options.journalSchema, rows, table)
      return { predicate: written, leaves: await readLeavesOfSet(session, candidates), reach: SPARING, candidates }
    }
    case 'stale': {
      const since = readSince(table, rows, momentLiteral(server.now))
      if (Array.isArray(since)) return since
      const found = await readMatching(session, table.name, rowsOfStale(since), settings, orderBy)
      if (Array.isArray(found)) return found
      if (found.leaves.some(({ kind }) => kind === 'foreign table')) return found // it is refused
      const groups = await readGroupCount(session, since)
      if (groups === null) return { ...found, groups }
      return { ...found, groups, leaves: withMatching(found.leaves, groups.stale / Math.max(groups.groups, 1)) }
    }
  }
}

async function verifySituation(
  { session, server, options }: Planning,
  name: TableName,
  { candidates, ...situation }: StoredSituation,
  request: PurgeRequest,
): Promise<void> {
  const { rows } = request
  await assertStoredAsPlanned(session, name, situation.leaves)
  const moment = momentLiteral(situation.server.now)
  const table = await readPresentTable(session, name, server.version)
  const since = rows.kind === 'stale' ? staleSince(table, rows, moment) : null
  const written = await conditionOf(request, moment)
  await assertHarmless(session, name, written)
  await assertComputedAlike(session, name, written)
  const leaves = situation.leaves.map((leaf) => leaf.name)
  const hasKey = candidates !== undefined || situation.archiving !== undefined
  const key = hasKey ? await readKeyColumns(session, table) : null
  const dependents = await readDependents(session, server.version, situation.archiving?.dependents ?? [])
  const set = candidates === undefined ? null : { key: candidates.key, place: candidates.place }
  assertFoundAgain(
    name,
    [rowsOf(situation), set],
    [
      [server, options.journalSchema, table, key, dependents, name, situation.around.protect],
      since === null ? written : rowsOfStale(since),
      await readLeafFacts(session, [name, ...leaves]),
      await readReferenceGraph(session, name),
      await readStoredKind(session, { table, leaves: situation.leaves }),
    ],
  )
}
