import { readCondition, readRowEstimate } from '../../catalog/condition/condition.ts'
import { readPresentTable, readTable } from '../../catalog/table/read-table.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { endRun } from '../../journal/journal.ts'
import { momentLiteral } from '../../plan/language/moment.ts'
import {
  planAbandonView,
  planView,
  printOf,
  type ViewPlan,
  type ViewRequest,
  type ViewSituation,
} from '../../plan/view/view.ts'
import { companion, type TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { parsePredicate } from '../../sql/predicate.ts'
import { sql } from '../../sql/sql.ts'
import type { Command, Planning } from '../command.ts'
import { executeRun, type StepResult } from '../execute.ts'
import { assertFoundAgain, assertHarmless } from '../found-again.ts'

/** A view: its name, null for `<table>_live` in the table's schema, and the rows it hides. */
export interface ViewOrder extends ViewRequest {
  readonly name: WrittenName | null
}

/** The outcome of creating a view. */
export interface ViewResult {
  readonly runId: string
  readonly plan: ViewPlan
  readonly steps: readonly StepResult[]
}

/** Creates or updates a view that hides marked or expired rows. */
export const view: Command<ViewOrder, ViewPlan, ViewSituation, ViewResult> = {
  name: 'view',
  refused: (plan, order) => ({ ...plan, view: nameOf(plan.table, order.name), isCurrent: false }),
  ofAnyStorage: true,
  read: (planning, name, order) => inSnapshot(planning.session, () => readSituation(planning, name, order)),
  plan: planView,
  async verify({ session, server, options }, name, situation, order) {
    const present = { ...server, now: situation.server.now }
    const again = await readSituation({ session, server: present, options }, name, order)
    await assertHarmless(session, name, again.expired)
    assertFoundAgain(name, situation, again)
  },
  async carryOut(run, plan) {
    const steps = await executeRun(run, plan.steps)
    await endRun(run.session, run.journalSchema, run.runId, 'done', { view: plan.view })
    return { runId: run.runId, plan, steps }
  },
  abandon: (run) => planAbandonView(run.id, run.table),
}

async function readSituation(
  { session, server, options: { journalSchema, onlyLooks = false } }: Planning,
  table: TableName,
  { name: given, ...request }: ViewOrder,
): Promise<ViewSituation> {
  const expired = request.expired === null ? null : await parsePredicate(request.expired, momentLiteral(server.now))
  const model = await readPresentTable(session, table, server.version)
  const condition = await readCondition(session, table, expired)
  // No rows are counted here, so policies that hide some do not matter.
  await session.query('set local row_security = on')
  if (expired !== null) await readRowEstimate(session, table, expired, condition.settings)
  const name = nameOf(table, given)
  const existing = (await readTable(session, name, server.version)) ?? null
  return {
    server,
    journalSchema,
    table: model,
    name,
    existing,
    print: existing?.kind === 'view' ? await readPrint(session, existing) : null,
    expired,
    condition,
    mayCreate: onlyLooks || (await mayCreateIn(session, name.schema)),
  }
}

function nameOf(table: TableName, given: WrittenName | null): TableName {
  if (given === null) return { schema: table.schema, name: companion(table.name, '_live') }
  return { schema: given.schema ?? table.schema, name: given.name }
}

async function readPrint(session: Session, { oid }: TableModel): Promise<string> {
  return (await readOne<{ print: string }>(session, sql`select ${printOf(sql`${oid}::oid`)} as print`)).print
}

async function mayCreateIn(session: Session, schema: string): Promise<boolean> {
  const { may } = await readOne<{ may: boolean }>(
    session,
    sql`select coalesce((select has_schema_privilege(oid, 'create') from pg_namespace where nspname = ${schema}), false) as may`,
  )
  return may
}
