import { momentLiteral } from '../../plan/language/moment.ts'
import { Refusal, type Command, type Planning } from '../command.ts'
import { readKeyColumns } from '../purge/candidates/key-columns.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { completeSet, registerSet, setById, type StoredSet } from '../../journal/candidates.ts'
import { endRun } from '../../journal/journal.ts'
import {
  abandonSteps,
  planAbandonCandidates,
  planCandidates,
  refuseCandidates,
  type CandidatePlan,
  type CandidateRequest,
  type CandidateSituation,
} from '../../plan/purge/candidates.ts'
import { isRefused } from '../../plan/purge/chosen-rows.ts'
import { readLeafFacts } from '../../catalog/partitions/purge-leaves.ts'
import { readPresentTable } from '../../catalog/table/read-table.ts'
import type { TableName } from '../../sql/names.ts'
import { parsePredicate } from '../../sql/predicate.ts'
import { readChosenRows } from '../purge/chosen-rows.ts'
import { executeRun, type Alongside, type StepResult } from '../execute.ts'
import { orGivingBack, undoAll } from '../copy/give-back.ts'
import { assertFoundAgain, assertHarmless, rowsOf } from '../found-again.ts'
import { mayCreateIn } from '../purge/candidates/may-create.ts'
import { nameSuffix } from '../name-suffix.ts'

/** The outcome of writing a candidate set. */
export interface CandidatesResult {
  /** Also the number of the set; null if no row matched. */
  readonly runId: string | null
  readonly plan: CandidatePlan
  readonly steps: readonly StepResult[]
  readonly set: StoredSet | null
}

/** Writes the keys of the matching rows into a candidate set. No row of the table is changed. */
export const candidates: Command<CandidateRequest, CandidatePlan, CandidateSituation, CandidatesResult> = {
  name: 'candidates',
  refused: (plan) => ({ ...plan, purge: null, set: null }),
  ofAnyStorage: true,
  read: readSituation,
  plan: planCandidates,
  async verify({ session, server, options }, name, situation, request) {
    const table = await readPresentTable(session, name, server.version)
    const predicate = await parsePredicate(request.where, momentLiteral(situation.server.now))
    await assertHarmless(session, name, predicate)
    const leaves = situation.leaves.map((leaf) => leaf.name)
    const found = [await readKeyColumns(session, table), await readLeafFacts(session, leaves)]
    assertFoundAgain(name, rowsOf(situation), [server, options.journalSchema, table, predicate, found])
  },
  nothingToDo: (plan) => (plan.set === null ? { runId: null, plan, steps: [], set: null } : null),
  async carryOut(run, plan) {
    const { session, journalSchema, runId } = run
    const { set } = plan
    if (set === null) throw new Error(`run ${runId} has no candidate set`)
    const alongside: Alongside = {
      set: () => [registerSet(session, journalSchema, { ...set, id: runId, table: plan.table })],
      settle: () => [completeSet(session, journalSchema, runId, set.place)],
    }
    const steps = await orGivingBack(executeRun(run, plan.steps, alongside), {
      holds: () => Promise.resolve(true),
      giveBack: () => undoAll(run, abandonSteps(runId, set.place)),
    })
    const stored = (await setById(session, journalSchema, runId)) ?? null
    await endRun(session, journalSchema, runId, 'done', { rows: stored?.rows, bytes: stored?.bytes })
    return { runId, plan, steps, set: stored }
  },
  abandon: (run) => planAbandonCandidates(run.id, run.plan),
}

/** Nothing is deleted or locked. */
const NOT_NEEDED = ['update', 'delete']

async function readSituation(
  { session, server, options }: Planning,
  name: TableName,
  request: CandidateRequest,
): Promise<CandidateSituation | Refusal<CandidatePlan>> {
  const { journalSchema } = options
  const predicate = await parsePredicate(request.where, momentLiteral(server.now))
  return inSnapshot(session, async () => {
    const chosen = await readChosenRows(session, server, name, predicate, journalSchema, NOT_NEEDED)
    if (isRefused(chosen)) return new Refusal(refuseCandidates(chosen, request))
    return {
      ...chosen,
      key: await readKeyColumns(session, chosen.table),
      place: { schema: journalSchema, name: `candidates_${nameSuffix(options)}` },
      mayCreateThere: await mayCreateIn(session, journalSchema),
    }
  })
}
