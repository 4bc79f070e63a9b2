import { readMarkFacts } from '../../catalog/table/mark-facts.ts'
import { readLeafFacts, type LeafModel } from '../../catalog/partitions/purge-leaves.ts'
import { readPresentTable } from '../../catalog/table/read-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Session } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { isRefused } from '../../plan/purge/chosen-rows.ts'
import {
  columnObjection,
  markBy,
  notYetMarked,
  planAbandonMark,
  planMark,
  refuseMark,
  type Mark,
  type MarkRequest,
  type MarkSituation,
} from '../../plan/purge/mark.ts'
import { momentBefore, momentLiteral } from '../../plan/language/moment.ts'
import type { PurgePlan } from '../../plan/purge/purge.ts'
import { withMatching, type GroupCount } from '../../plan/purge/stale.ts'
import type { Objection } from '../../plan/language/step.ts'
import type { TableName } from '../../sql/names.ts'
import { parsePredicate, type Predicate } from '../../sql/predicate.ts'
import { Refusal, type Command, type Planning } from '../command.ts'
import { assertComputedAlike, assertStoredAsPlanned, readChosenRows } from '../purge/chosen-rows.ts'
import { assertFoundAgain, assertHarmless, rowsOf } from '../found-again.ts'
import { readParents } from '../purge/stale-groups.ts'
import { carryOutPurge, nothingToDo, type PurgeResult } from './purge.ts'

/** Nothing is deleted. */
const NOT_NEEDED = ['delete']

interface StoredSituation extends MarkSituation {
  readonly way: Mark
}

/** Marks the matching rows that are not marked yet, in batches. */
export const mark: Command<MarkRequest, PurgePlan, StoredSituation, PurgeResult> = {
  name: 'mark',
  worksInBatches: true,
  refused: (plan) => ({ ...plan, purge: null }),
  ofAnyStorage: true,
  read: readSituation,
  plan: ({ way, ...situation }, request) => planMark(situation, request, way),
  async verify({ session, server }, name, situation, request) {
    const table = await readPresentTable(session, name, server.version)
    const found = await readWanted(session, situation.server, table, request)
    await assertStoredAsPlanned(session, name, situation.leaves)
    if (!Array.isArray(found)) {
      await assertHarmless(session, name, found.predicate)
      await assertComputedAlike(session, name, found.predicate)
    }
    const leaves = situation.leaves.map((leaf) => leaf.name)
    const facts = await readMarkFacts(session, leaves)
    assertFoundAgain(name, rowsOf(situation), [server, table, found, facts, await readLeafFacts(session, leaves)])
  },
  nothingToDo,
  carryOut: carryOutPurge,
  abandon: (run) => planAbandonMark(run.id, run.table),
}

async function readSituation(
  { session, server, options: { journalSchema } }: Planning,
  name: TableName,
  request: MarkRequest,
): Promise<StoredSituation | Refusal<PurgePlan>> {
  return inSnapshot(session, async () => {
    const table = await readPresentTable(session, name, server.version)
    const wanted = await readWanted(session, server, table, request)
    if (Array.isArray(wanted)) return new Refusal(refuseMark({ server, table, objections: wanted }, request))
    const { way, predicate, count } = wanted
    const chosen = await readChosenRows(session, server, name, predicate, journalSchema, NOT_NEEDED)
    if (isRefused(chosen)) return new Refusal(refuseMark(chosen, request))
    const facts = await readMarkFacts(
      session,
      chosen.leaves.map((leaf) => leaf.name),
    )
    return { ...chosen, leaves: withGroups(chosen.leaves, count), facts, way }
  })
}

interface Wanted {
  readonly way: Mark
  readonly predicate: Predicate
  /** Null if the rows are not groups. */
  readonly count: GroupCount | null
}

/** The rows to mark and how, or why that cannot be determined. */
async function readWanted(
  session: Session,
  server: ServerModel,
  table: TableModel,
  request: MarkRequest,
): Promise<Wanted | Objection[]> {
  const moment = momentLiteral(server.now)
  const { rows } = request
  const column = table.columns.find((one) => one.name === request.column)
  const at = rows.kind === 'matching' ? `'${moment}'::pg_catalog.timestamptz` : momentBefore(moment, rows.idle)
  const way = column === undefined ? null : markBy(column, at)
  if (way === null) return [columnObjection(table, request.column)]
  if (rows.kind === 'matching')
    return { way, predicate: notYetMarked(await parsePredicate(rows.where, moment), way), count: null }
  const parents = await readParents(session, server, rows, table.name, moment)
  if (Array.isArray(parents)) return parents
  return { way, predicate: notYetMarked(parents.predicate, way), count: parents.count }
}

/** Each group is one row of the parent table. */
function withGroups(leaves: readonly LeafModel[], count: GroupCount | null): readonly LeafModel[] {
  const rows = leaves.reduce((sum, leaf) => sum + (leaf.rows ?? 0), 0)
  return count === null || rows === 0 ? leaves : withMatching(leaves, Math.min(1, count.stale / rows))
}
