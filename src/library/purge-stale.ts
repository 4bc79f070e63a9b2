import {
  planStaleOf,
  purgeStale as purgeStaleRows,
  type StalePlan,
  type StaleResult,
} from '../engine/commands/purge-stale.ts'
import { DEADLINE_MS } from '../engine/commands/purge.ts'
import { parseInterval } from '../grid/interval.ts'
import { targetOf, writtenName, type Table } from './database.ts'
import { call } from './call.ts'
import { complete } from './options.ts'
import { purgeRequest, type PurgeOptions } from './purge.ts'

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
export const purgeStale = call<StaleOptions, StalePlan, StaleResult>((database, options) => {
  const { group, activity, idle, flag } = options
  const stale = { group, activity, idle: parseInterval(idle) }
  const flagged = flag === undefined ? null : { table: writtenName(flag.table), column: flag.column }
  const engine = complete({ deadlineMs: DEADLINE_MS, ...options })
  const request = { ...purgeRequest(options), where: '', stale }
  const given = [targetOf(database), writtenName(options.table), request, flagged, engine] as const
  return { plan: () => planStaleOf(...given), carryOut: () => purgeStaleRows(...given) }
})
