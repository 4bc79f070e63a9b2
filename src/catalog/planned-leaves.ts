import { takingBack } from '../db/savepoint.ts'
import type { Session } from '../db/session.ts'
import { putSession } from '../db/settings.ts'
import { quoted, type TableName } from '../sql/names.ts'
import type { ConditionSettings } from '../sql/condition-settings.ts'
import { raw, sql, type Sql } from '../sql/sql.ts'

/** A table that the planner would look into for a condition. */
export interface PlannedLeaf {
  readonly name: TableName
  /** Rows that match, as it believes. */
  readonly matching: number
  /** The index by which it would reach them, if by one. */
  readonly index: string | null
}

/** A node of a plan, its parts as PostgreSQL calls them. */
export interface PlanNode {
  readonly 'Node Type': string
  readonly Schema?: string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Plan Rows': number
  readonly 'One-Time Filter'?: string
  readonly Plans?: readonly PlanNode[]
}

/** The leaves of a table that the planner does not rule out for a condition, in the transaction that is open. */
export async function readPlanned(
  session: Session,
  table: TableName,
  condition: string,
  settings: ConditionSettings,
): Promise<PlannedLeaf[]> {
  const plan = await readPlan(session, sql`select from ${quoted(table)} t where (${raw(condition)}\n)`, settings)
  return leavesOf(plan)
}

function leavesOf(node: PlanNode): PlannedLeaf[] {
  const { Schema: schema, 'Relation Name': name, Plans: plans = [] } = node
  if (schema === undefined || name === undefined) return plans.flatMap(leavesOf)
  const index = node['Index Name'] ?? (plans.length === 1 ? plans[0]?.['Index Name'] : undefined)
  return [{ name: { schema, name }, matching: node['Plan Rows'], index: index ?? null }]
}

/** What the planner would do under the settings that a condition is read under; nothing is read. */
export function readPlan(session: Session, query: Sql, settings: ConditionSettings): Promise<PlanNode> {
  return takingBack(session, async () => {
    await session.query('set local max_parallel_workers_per_gather = 0')
    await putSession(session, settings)
    const { rows } = await session.query<{ 'QUERY PLAN': readonly { Plan: PlanNode }[] }>(
      sql`explain (verbose, format json) ${query}`.text,
    )
    const plan = rows[0]?.['QUERY PLAN'][0]?.Plan
    if (plan === undefined) throw new Error('explain has returned nothing')
    return plan
  })
}
