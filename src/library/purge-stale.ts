import {
  planStaleOf,
  purgeStale as purgeStaleRows,
  type StalePlan,
  type StaleResult,
} from '../engine/commands/purge-stale.ts'
import { PURGE_STALE } from '../requests/purge.ts'
import { call, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { PurgeOptions } from './purge.ts'

/** What makes a group stale. */
export interface StaleOptions extends Omit<PurgeOptions, 'where' | 'candidates' | 'marked'> {
  /** The grouping column. */
  readonly group: string
  /** The time of a row's activity. A row where it is NULL keeps its group. */
  readonly activity: string
  /** How long a group must have been without activity: `90 days`. */
  readonly idle: string
  /** Marks the groups first, in the table that the foreign key of `group` references. */
  readonly flag?: { readonly table: Table; readonly column: string }
}

/**
 * Deletes all rows of groups without activity; one that becomes active again
 * while it runs keeps its rows.
 *
 * @throws {ObjectionsError} with `execute`, when there are blocking issues; without, they are in the plan
 */
export const purgeStale: Call<StaleOptions, StalePlan, StaleResult> = call(
  PURGE_STALE,
  ({ target, values: { table, flag }, request, engine }) => ({
    plan: () => planStaleOf(target, table, request, flag, engine),
    carryOut: () => purgeStaleRows(target, table, request, flag, engine),
  }),
)
