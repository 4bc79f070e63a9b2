import { momentLiteral } from '../../plan/language/moment.ts'
import { agreedPlan, beginRun, newPlan, Refusal, type Command } from '../command.ts'
import { readKeyColumns } from '../purge/key-columns.ts'
import { inSnapshot, readOne, type Session, type Target } from '../../db/session.ts'
import { ObjectionsError } from '../../errors.ts'
import { completeSet, registerSet, setById, type StoredSet } from '../../journal/candidates.ts'
import { endRun } from '../../journal/journal.ts'
import {
  abandonSteps,
  planCandidates,
  refuseCandidates,
  type CandidatePlan,
  type CandidateRequest,
  type CandidateSituation,
} from '../../plan/purge/candidates.ts'
import { isRefused } from '../../plan/purge/chosen-rows.ts'
import { readLeafFacts } from '../../catalog/partitions/purge-leaves.ts'
import { readPresentTable } from '../../catalog/table/read-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { parsePredicate } from '../../sql/predicate.ts'
import { sql } from '../../sql/sql.ts'
import { readChosenRows } from '../purge/chosen-rows.ts'
import { executeRun, type ExecuteOptions, type StepResult } from '../execute.ts'
import { orGivingBack, undoAll } from '../copy/give-back.ts'
import { assertFoundAgain, assertHarmless, rowsOf } from '../found-again.ts'
import type { EngineOptions, PlanOptions } from '../options.ts'
import type { PurgeOptions } from './purge.ts'
import { newNameSuffix } from '../name-suffix.ts'
import { withTable, type TableContext } from '../table-context.ts'

/** What writing a candidate set has come to. */
export interface CandidatesResult {
  /** The number of the set, too; null where no row matched. */
  readonly runId: string | null
  readonly plan: CandidatePlan
  readonly steps: readonly StepResult[]
  readonly set: StoredSet | null
}

/** What would be written down, and how. Reads in READ ONLY transactions and changes nothing. */
export function planCandidatesOf(
  target: Target,
  written: WrittenName,
  request: CandidateRequest,
  options: EngineOptions,
): Promise<CandidatePlan> {
  return newPlan(target, written, candidatesCommand(request, options), options)
}

/**
 * Writes the keys of the rows that match into a candidate set, or goes on with
 * one that was interrupted. No row of the table is changed.
 *
 * @throws {ObjectionsError} when there are reasons not to start
 */
export async function writeCandidates(
  target: Target,
  written: WrittenName,
  request: CandidateRequest,
  options: PurgeOptions,
): Promise<CandidatesResult> {
  const command = candidatesCommand(request, options)
  const agreed = await agreedPlan(target, written, command, options)
  const { server, name, plan } = agreed
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  if (plan.set === null) return { runId: null, plan, steps: [], set: null }
  return withTable({ target, server, ...options, command: command.name }, name, async (context) => {
    const begun = await beginRun(context, command, agreed)
    return carryOutCandidates(begun.runId, begun.plan, context, options)
  })
}

/** Takes an agreed plan to its end. */
export async function carryOutCandidates(
  runId: string,
  plan: CandidatePlan,
  context: TableContext,
  { lockLimits, turns }: PurgeOptions,
): Promise<CandidatesResult & { readonly runId: string }> {
  const { session, journalSchema } = context
  const { set } = plan
  if (set === null) throw new Error(`run ${runId} has no candidate set`)
  const alongside: ExecuteOptions['alongside'] = {
    set: () => [registerSet(session, journalSchema, { ...set, id: runId, table: plan.table })],
    settle: () => [completeSet(session, journalSchema, runId, set.place)],
  }
  const execute = executeRun(runId, plan.steps, context, { alongside, lockLimits, turns })
  const steps = await orGivingBack(execute, {
    holds: () => Promise.resolve(true),
    giveBack: () => undoAll(runId, abandonSteps(runId, set.place), context),
  })
  const stored = (await setById(session, journalSchema, runId)) ?? null
  await endRun(session, journalSchema, runId, 'done', { rows: stored?.rows, bytes: stored?.bytes })
  return { runId, plan, steps, set: stored }
}

/** Nothing is deleted or locked. */
const NOT_NEEDED = ['update', 'delete']

export function candidatesCommand(
  request: CandidateRequest,
  options: PlanOptions,
): Command<CandidatePlan, CandidateSituation> {
  return {
    name: 'candidates',
    request,
    refused: (plan) => ({ ...plan, purge: null, set: null }),
    ofAnyStorage: true,
    read: (session, server, name) => readSituation(session, server, name, request, options),
    plan: (situation) => planCandidates(situation, request),
    async verify(session, server, name, situation) {
      const table = await readPresentTable(session, name, server.version)
      const predicate = await parsePredicate(request.where, momentLiteral(situation.server.now))
      await assertHarmless(session, name, predicate)
      const leaves = situation.leaves.map((leaf) => leaf.name)
      const found = [await readKeyColumns(session, table), await readLeafFacts(session, leaves)]
      assertFoundAgain(name, rowsOf(situation), [server, options.journalSchema, table, predicate, found])
    },
  }
}

async function readSituation(
  session: Session,
  server: ServerModel,
  name: TableName,
  request: CandidateRequest,
  { journalSchema }: PlanOptions,
): Promise<CandidateSituation | Refusal<CandidatePlan>> {
  const predicate = await parsePredicate(request.where, momentLiteral(server.now))
  return inSnapshot(session, async () => {
    const chosen = await readChosenRows(session, server, name, predicate, journalSchema, NOT_NEEDED)
    if (isRefused(chosen)) return new Refusal(refuseCandidates(chosen, request))
    return {
      ...chosen,
      key: await readKeyColumns(session, chosen.table),
      place: { schema: journalSchema, name: `candidates_${newNameSuffix()}` },
      mayCreateThere: await mayCreateIn(session, journalSchema),
    }
  })
}

/** Where there is no such schema yet, it will be ours. */
async function mayCreateIn(session: Session, schema: string): Promise<boolean> {
  const { may } = await readOne<{ may: boolean }>(
    session,
    sql`select coalesce((select has_schema_privilege(oid, 'create') from pg_namespace where nspname = ${schema}), true) as may`,
  )
  return may
}
