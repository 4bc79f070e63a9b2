import { readCondition, readRowEstimate } from '../../catalog/condition/condition.ts'
import { readPresentTable, readTable } from '../../catalog/table/read-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import { inSnapshot, readOne, type Session, type Target } from '../../db/session.ts'
import { ObjectionsError } from '../../errors.ts'
import { endRun } from '../../journal/journal.ts'
import { momentLiteral } from '../../plan/language/moment.ts'
import { planView, type ViewPlan, type ViewRequest, type ViewSituation } from '../../plan/view/view.ts'
import { companion, type TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { parsePredicate } from '../../sql/predicate.ts'
import { sql } from '../../sql/sql.ts'
import { agreedPlan, beginRun, newPlan, type Command } from '../command.ts'
import { executeRun, type StepResult } from '../execute.ts'
import { assertFoundAgain, assertHarmless } from '../found-again.ts'
import type { EngineOptions, PlanOptions } from '../options.ts'
import { withTable, type TableContext } from '../table-context.ts'

/** A view: its name, null for `<table>_live` beside the table, and what it hides. */
export interface ViewOrder extends ViewRequest {
  readonly name: WrittenName | null
}

/** What making a view has come to. */
export interface ViewResult {
  readonly runId: string
  readonly plan: ViewPlan
  readonly steps: readonly StepResult[]
}

/** What would be made. Reads in READ ONLY transactions and changes nothing. */
export function planViewOf(
  target: Target,
  written: WrittenName,
  order: ViewOrder,
  options: EngineOptions,
): Promise<ViewPlan> {
  return newPlan(target, written, viewCommand(order, options), options)
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
  const command = viewCommand(order, options)
  const agreed = await agreedPlan(target, written, command, options)
  const { server, name, plan } = agreed
  if (plan.objections.length > 0) throw new ObjectionsError(plan.goal, plan)
  return withTable({ target, server, ...options, command: command.name }, name, async (context) => {
    const begun = await beginRun(context, command, agreed)
    return carryOutView(begun.runId, begun.plan, context, options)
  })
}

/** Takes an agreed plan to its end. */
export async function carryOutView(
  runId: string,
  plan: ViewPlan,
  context: TableContext,
  { lockLimits }: EngineOptions,
): Promise<ViewResult> {
  const steps = await executeRun(runId, plan.steps, context, { lockLimits })
  await endRun(context.session, context.journalSchema, runId, 'done', { view: plan.view })
  return { runId, plan, steps }
}

export function viewCommand(order: ViewOrder, options: PlanOptions): Command<ViewPlan, ViewSituation> {
  return {
    name: 'view',
    request: order,
    refused: (plan) => ({ ...plan, view: nameOf(plan.table, order.name) }),
    ofAnyStorage: true,
    read: (session, server, name) => inSnapshot(session, () => readSituation(session, server, name, order, options)),
    plan: (situation) => planView(situation, order),
    async verify(session, server, name, situation) {
      const present = { ...server, now: situation.server.now }
      const again = await readSituation(session, present, name, order, options)
      await assertHarmless(session, name, again.expired)
      assertFoundAgain(name, situation, again)
    },
  }
}

async function readSituation(
  session: Session,
  server: ServerModel,
  table: TableName,
  { name: given, ...request }: ViewOrder,
  { journalSchema }: PlanOptions,
): Promise<ViewSituation> {
  const expired = request.expired === null ? null : await parsePredicate(request.expired, momentLiteral(server.now))
  const model = await readPresentTable(session, table, server.version)
  const condition = await readCondition(session, table, expired)
  // No row is counted here, so policies that hide some are no reason not to look at the condition.
  await session.query('set local row_security = on')
  if (expired !== null) await readRowEstimate(session, table, expired, condition.settings)
  const name = nameOf(table, given)
  return {
    server,
    journalSchema,
    table: model,
    name,
    existing: (await readTable(session, name, server.version)) ?? null,
    expired,
    condition,
    mayCreate: await mayCreateIn(session, name.schema),
  }
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
