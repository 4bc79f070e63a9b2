import { isTimeType } from '../../catalog/table/calendar-kind.ts'
import { readConditionSettings } from '../../catalog/condition/condition-settings.ts'
import { readHead } from '../../catalog/table/key-head.ts'
import { readKey, sampleIds } from '../../catalog/table/key-model.ts'
import { readPresentTable } from '../../catalog/table/read-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import { knowsTimezone, readPrivileges, readTakenNames, readUpserts } from '../../catalog/situation.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { inSnapshot, type Session, type Target } from '../../db/session.ts'
import { ObjectionsError, UsageError } from '../../errors.ts'
import { doneSteps, endRun, runById } from '../../journal/journal.ts'
import { registerSet } from '../../journal/sets.ts'
import type { KeyEvidence } from '../../plan/partition/key-choice.ts'
import { planPartition, type PartitionPlan, type PartitionSituation } from '../../plan/partition/partition.ts'
import type { PartitionRequest } from '../../plan/language/policy.ts'
import { kindObjection } from '../../plan/table/table-objections.ts'
import type { LockTimes } from '../../events.ts'
import { pathOf } from '../../sql/condition-settings.ts'
import type { TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { assertFar, BoundNear, underBound } from '../locks/bound-watch.ts'
import { agreedPlan, beginRun, isPartitionedAlready, newPlan, type Command } from '../command.ts'
import type { LockLimits } from '../locks/short-locks.ts'
import { assertFoundAgain } from '../found-again.ts'
import { executeRun, type ExecuteOptions, type StepResult } from '../execute.ts'
import type { EngineOptions, PlanOptions } from '../options.ts'
import { takeBack } from '../runs/abandon.ts'
import { withTable, type TableContext } from '../table-context.ts'

/** What a conversion has come to. */
export interface PartitionResult {
  readonly runId: string
  readonly plan: PartitionPlan
  /** Of this call; those an earlier call had done are not repeated. */
  readonly steps: readonly StepResult[]
  /** What the swap has cost the others; null when an earlier call did it. */
  readonly swap: LockTimes | null
  readonly nothingToDo: boolean
}

/** What would be done. Reads in READ ONLY transactions and changes nothing. */
export function planPartitionOf(
  target: Target,
  written: WrittenName,
  request: PartitionRequest,
  options: EngineOptions,
): Promise<PartitionPlan> {
  return newPlan(target, written, partitionCommand(request, options), options)
}

/**
 * Converts a table into partitions, or goes on with a conversion that was
 * interrupted, from the plan that was agreed to then.
 *
 * @throws {ObjectionsError} when there are reasons not to start
 */
export async function partition(
  target: Target,
  written: WrittenName,
  request: PartitionRequest,
  options: EngineOptions,
): Promise<PartitionResult> {
  for (let left = MOST_BOUNDS; ; left--) {
    try {
      return await partitionOnce(target, written, request, options)
    } catch (error) {
      if (!(error instanceof BoundNear) || left === 1) throw error
      options.observer({ type: 'note', text: `${error.message}: it begins anew, with a later bound` })
    }
  }
}

/** How often a conversion begins anew because rows came faster than they had before. */
const MOST_BOUNDS = 5

async function partitionOnce(
  target: Target,
  written: WrittenName,
  request: PartitionRequest,
  options: EngineOptions,
): Promise<PartitionResult> {
  const command = partitionCommand(request, options)
  const agreed = await agreedPlan(target, written, command, options)
  const { server, name, plan, doneBy } = agreed
  if (doneBy !== null) return { runId: doneBy, plan, steps: [], swap: null, nothingToDo: true }
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  return withTable({ target, server, ...options, command: command.name }, name, async (context) => {
    const begun = await beginRun(context, command, agreed)
    return carryOut(begun.runId, begun.plan, context, options)
  })
}

/**
 * Takes an agreed plan to its end.
 *
 * @throws {BoundNear} when that would refuse rows of the application; then the preparations have been taken back
 */
export async function carryOut(
  runId: string,
  plan: PartitionPlan,
  context: TableContext,
  options: { readonly lockLimits?: LockLimits },
): Promise<PartitionResult> {
  const { session, journalSchema } = context
  const steps = await executeConversion(runId, plan, context, options).catch(async (error: unknown) => {
    const run = error instanceof BoundNear ? await runById(session, journalSchema, runId) : undefined
    if (run !== undefined) await takeBack(run, context, options)
    throw error
  })
  await endRun(session, journalSchema, runId, 'done', { steps })
  return { runId, plan, steps, swap: steps.find(({ key }) => key === 'swap')?.lock ?? null, nothingToDo: false }
}

async function executeConversion(
  runId: string,
  { table, steps, conversion }: PartitionPlan,
  context: TableContext,
  { lockLimits }: { readonly lockLimits?: LockLimits },
): Promise<StepResult[]> {
  if (conversion === null) throw new Error(`run ${runId} has no conversion`)
  const { journalSchema } = context
  const { bound, policy } = conversion
  const alongside: ExecuteOptions['alongside'] = {
    guard: ({ session }) => [assertFar(session, table, bound)],
    // From the moment of the swap the table is a set that rotate keeps.
    swap: ({ session }) => [registerSet(session, journalSchema, table, policy, runId)],
  }
  const execute = (watched: TableContext) => executeRun(runId, steps, watched, { alongside, lockLimits })
  const done = await doneSteps(context.session, journalSchema, runId)
  return done.has('swap') ? execute(context) : underBound(table, bound, context, execute)
}

export function partitionCommand(
  request: PartitionRequest,
  options: PlanOptions,
): Command<PartitionPlan, PartitionSituation> {
  return {
    name: 'partition',
    request,
    refused: (plan) => ({ ...plan, conversion: null }),
    isCarriedOut: isPartitionedAlready,
    read: (session, server, name) => inSnapshot(session, () => readSituation(session, server, name, request, options)),
    plan: (situation) => planPartition(withType(situation), request),
    verify: verifySituation,
  }
}

/** The evidence with the type of the column as the table has it: of the rest of it only positions become SQL. */
export function withType<Situation extends PartitionSituation>(situation: Situation): Situation {
  const { evidence, table } = situation
  if (evidence === null) return situation
  const { type = '' } = table.columns.find(({ name }) => name === evidence.key.column) ?? {}
  return { ...situation, evidence: { ...evidence, key: { ...evidence.key, type } } }
}

/** @throws {EbbError} when a stored situation is not that of the table */
export async function verifySituation(
  session: Session,
  server: ServerModel,
  name: TableName,
  situation: PartitionSituation,
): Promise<void> {
  const table = await readPresentTable(session, name, server.version)
  assertFoundAgain(name, situation, [server, table, await readPrivileges(session, table)])
}

/** Everything that a conversion depends on, in the snapshot that is open. */
export async function readSituation(
  session: Session,
  server: ServerModel,
  name: TableName,
  request: PartitionRequest,
  { journalSchema }: PlanOptions,
): Promise<PartitionSituation> {
  if (!(await knowsTimezone(session, request.timezone)))
    throw new UsageError(
      `the server knows no time zone ${JSON.stringify(request.timezone)}`,
      'Use a name from pg_timezone_names, such as Europe/Berlin.',
    )
  const table = await readPresentTable(session, name, server.version)
  const privileges = await readPrivileges(session, table)
  const taken = await readTakenNames(session, name.schema)
  const ofOthers = table.persistence === 'temporary'
  const readable = kindObjection(table) === undefined && !ofOthers && privileges.actAsOwner && !privileges.rowsHidden
  const evidence = readable ? await readEvidence(session, server, table, request) : null
  const upserts = await readUpserts(session, table)
  const settings = pathOf(await readConditionSettings(session))
  return { server, journalSchema, table, privileges, evidence, upserts, taken, settings }
}

async function readEvidence(
  session: Session,
  server: ServerModel,
  table: TableModel,
  request: PartitionRequest,
): Promise<KeyEvidence | null> {
  const has = (column: string | null) => table.columns.some(({ name }) => name === column)
  if (!has(request.by)) return null
  const key = await readKey(session, table, request.by)
  const time = table.columns.find(({ name }) => name === request.expireBy)
  const byId = request.expireBy !== null && isTimeType(time?.type) && /^(bigint|integer)$/.test(key.type) && key.indexed
  const samples = byId ? await sampleIds(session, table, request.by, request.expireBy) : []
  const { handedOut } = await readHead(session, table.name, request.by)
  return { key, samples, handedOut: handedOut === null ? null : BigInt(handedOut), now: BigInt(server.now) }
}
