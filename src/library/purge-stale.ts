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
  /** The column that tells the group. */
  readonly group: string
  /** The time of a row's activity. A row without one keeps its group. */
  readonly activity: string
  /** How long nothing must have happened: `90 days`. */
  readonly idle: string
  /** Where the groups are marked first: in the table that the foreign key of `group` leads to. */
  readonly flag?: { readonly table: Table; readonly column: string }
}

/**
 * Deletes all rows of groups without activity; one that becomes active again
 * while it runs keeps its rows.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export const purgeStale: Call<StaleOptions, StalePlan, StaleResult> = call(
  PURGE_STALE,
  ({ target, values: { table, flag }, request, engine }) => ({
    plan: () => planStaleOf(target, table, request, flag, engine),
    carryOut: () => purgeStaleRows(target, table, request, flag, engine),
  }),
)
