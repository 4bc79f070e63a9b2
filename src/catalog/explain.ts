import type { ClientBase } from 'pg'
import { raw, sql, type Sql } from '../sql/sql.ts'

// The one place where EXPLAIN is asked for a plan, and read.

/** A node of a plan, its parts as PostgreSQL calls them. */
export interface PlanNode {
  readonly 'Node Type': string
  /** Of a node that an extension has made. */
  readonly 'Custom Plan Provider'?: string
  readonly 'Parent Relationship'?: string
  readonly Schema?: string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Plan Rows': number
  readonly 'One-Time Filter'?: string
  readonly Plans?: readonly PlanNode[]
}

export interface Explained {
  readonly Plan: PlanNode
  /** In milliseconds; only where the statement was run (`analyze`). */
  readonly 'Execution Time'?: number
}

export const EXPLAIN = 'explain (verbose, format json) '
export const EXPLAIN_ANALYZE = 'explain (analyze, timing off, summary on, format json) '

/** What PostgreSQL would do, or has done: more than one plan, or none, where rules make something else of a query. */
export async function explained(session: ClientBase, query: Sql, explain = EXPLAIN): Promise<Explained[]> {
  const { rows } = await session.query<{ 'QUERY PLAN': readonly Explained[] }>(sql`${raw(explain)}${query}`)
  return rows.flatMap((row) => row['QUERY PLAN'])
}
