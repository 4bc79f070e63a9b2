import { isTimeType } from '../../catalog/table/calendar-kind.ts'
import { readConditionSettings } from '../../catalog/condition/condition-settings.ts'
import { readHead } from '../../catalog/table/key-head.ts'
import { readKey, sampleIds } from '../../catalog/table/key-model.ts'
import { readSendings } from '../../catalog/table/published.ts'
import { readPresentTable } from '../../catalog/table/read-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import {
  knowsTimezone,
  readKeyDependents,
  readPrivileges,
  readTakenNames,
  readUpserts,
} from '../../catalog/situation.ts'
import { readTriggerCode } from '../../catalog/table/trigger-code.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { reasonOf } from '../../db/sqlstate.ts'
import { UsageError } from '../../errors.ts'
import { doneSteps, endRun, runById } from '../../journal/journal.ts'
import { registerSet } from '../../journal/sets.ts'
import type { KeyEvidence } from '../../plan/partition/key-choice.ts'
import { displayPosition } from '../../grid/key.ts'
import type { Objection } from '../../plan/language/step.ts'
import { planAbandon } from '../../plan/partition/abandon.ts'
import {
  planPartition,
  type ConversionSummary,
  type PartitionPlan,
  type PartitionSituation,
} from '../../plan/partition/partition.ts'
import type { PartitionRequest } from '../../plan/language/policy.ts'
import { kindObjection } from '../../plan/table/objections/table.ts'
import type { LockTimes } from '../../events.ts'
import { pathOf } from '../../sql/condition-settings.ts'
import type { TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { assertFar, BoundNear, underBound } from '../locks/bound-watch.ts'
import type { Command, Planning } from '../command.ts'
import { assertFoundAgain } from '../found-again.ts'
import { executeRun, type Alongside, type StepResult } from '../execute.ts'
import { readConversionRollback } from '../runs/read-rollback.ts'
import { conversionOf } from '../runs/summary.ts'
import { takeBack } from '../runs/take-back.ts'
import type { RunContext } from '../table-context.ts'

/** The outcome of a conversion. */
export interface PartitionResult {
  readonly runId: string
  readonly plan: PartitionPlan
  /** The steps of this call, without those of earlier calls. */
  readonly steps: readonly StepResult[]
  /** The lock times of the swap; null if an earlier call did it. */
  readonly swap: LockTimes | null
  readonly nothingToDo: boolean
}

/** Converts a table into partitions; its existing rows become the first of them. */
export const partition: Command<PartitionRequest, PartitionPlan, PartitionSituation, PartitionResult> = {
  name: 'partition',
  refused: (plan) => ({ ...plan, conversion: null }),
  isCarriedOut: isPartitionedAlready,
  read: (planning, name, request) => inSnapshot(planning.session, () => readSituation(planning, name, request)),
  plan: (situation, request) => planPartition(withType(situation), request),
  verify: verifySituation,
  nothingToDo: (plan, runId) => (runId === null ? null : { runId, plan, steps: [], swap: null, nothingToDo: true }),
  beginsAnewAfter: (error) => error instanceof BoundNear,
  carryOut: carryOutConversion,
  abandon(run, _done, present) {
    const { primaryKey, guard } = conversionOf(run)
    const table = present ?? run.table
    const index = primaryKey === null ? null : { schema: table.schema, name: primaryKey.index }
    return planAbandon(run.id, { table, guard: present === null ? null : guard, index })
  },
  findTable: (session, run) => guardedTable(session, run.table, conversionOf(run)),
  rollback: readConversionRollback,
  refusesFrom(run, done) {
    if (!done.has('guard') || done.has('swap')) return null
    const { kind, at, timezone } = conversionOf(run).bound
    return displayPosition(kind, at, timezone)
  },
}

/** A plan for a table that is already partitioned. */
export function isPartitionedAlready({ objections }: { readonly objections: readonly Objection[] }): boolean {
  return objections.some(({ code }) => code === 'partitioned')
}

/** @throws {BoundNear} if the CHECK would soon reject rows; the preparations have been undone then */
async function carryOutConversion(run: RunContext, plan: PartitionPlan): Promise<PartitionResult & { runId: string }> {
  const { session, journalSchema, runId } = run
  const steps = await executeConversion(run, plan).catch(async (error: unknown) => {
    const begun = error instanceof BoundNear ? await runById(session, journalSchema, runId) : undefined
    if (begun !== undefined) {
      await takeBack(partition, begun, run)
      run.observer({ type: 'note', text: `${reasonOf(error)}: starting over with a later bound` })
    }
    throw error
  })
  await endRun(session, journalSchema, runId, 'done', { steps })
  return { runId, plan, steps, swap: steps.find(({ key }) => key === 'swap')?.lock ?? null, nothingToDo: false }
}

async function executeConversion(run: RunContext, { table, steps, conversion }: PartitionPlan): Promise<StepResult[]> {
  const { journalSchema, runId } = run
  if (conversion === null) throw new Error(`run ${runId} has no conversion`)
  const { bound, policy } = conversion
  const alongside: Alongside = {
    guard: ({ session }) => [assertFar(session, table, bound)],
    // From the swap on the table is managed by rotate.
    swap: ({ session }) => [registerSet(session, journalSchema, table, policy, runId)],
  }
  const execute = (watched: RunContext) => executeRun(watched, steps, alongside)
  const done = await doneSteps(run.session, journalSchema, runId)
  return done.has('swap') ? execute(run) : underBound(table, bound, run, execute)
}

/** The table with the CHECK: by its oid, whatever its name; or in a restored database, by its name. */
async function guardedTable(
  session: Session,
  { schema, name }: TableName,
  { original, guard }: ConversionSummary,
): Promise<TableName | null> {
  const [table] = await readAll<TableName>(
    session,
    sql`
    select n.nspname as schema, c.relname as name
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
    where k.contype = 'c' and k.conname = ${guard}
      and (c.oid = ${original.oid}::oid or n.nspname = ${schema} and c.relname = ${name})`,
  )
  return table ?? null
}

/** The evidence with the current type of the column: of the rest only positions become SQL. */
export function withType<Situation extends PartitionSituation>(situation: Situation): Situation {
  const { evidence, table } = situation
  if (evidence === null) return situation
  const { type = '' } = table.columns.find(({ name }) => name === evidence.key.column) ?? {}
  return { ...situation, evidence: { ...evidence, key: { ...evidence.key, type } } }
}

/** @throws {EbbError} when a stored situation does not match the table */
export async function verifySituation(
  { session, server }: Planning,
  name: TableName,
  situation: PartitionSituation,
): Promise<void> {
  const table = await readPresentTable(session, name, server.version)
  assertFoundAgain(name, situation, [server, table, await readPrivileges(session, table)])
}

/** Everything a conversion depends on, in the open snapshot. */
export async function readSituation(
  { session, server, options: { journalSchema } }: Planning,
  name: TableName,
  request: PartitionRequest,
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
  const sendings = await readSendings(session, name)
  const triggerCode = await readTriggerCode(session, name)
  const keyDependents = await readKeyDependents(session, table)
  return {
    server,
    journalSchema,
    table,
    privileges,
    evidence,
    upserts,
    sendings,
    triggerCode,
    keyDependents,
    taken,
    settings,
  }
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
