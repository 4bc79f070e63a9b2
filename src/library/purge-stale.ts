import * as staling from '../engine/commands/purge-stale.ts'
import { DEADLINE_MS } from '../engine/commands/purge.ts'
import { parseInterval } from '../grid/interval.ts'
import { targetOf, writtenName, type Database, type Table } from './database.ts'
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
export async function purgeStale(
  database: Database,
  options: StaleOptions & { readonly execute: true },
): Promise<staling.StaleResult>
export async function purgeStale(
  database: Database,
  options: StaleOptions & { readonly execute?: false },
): Promise<staling.StalePlan>
export async function purgeStale(
  database: Database,
  options: StaleOptions & { readonly execute?: boolean },
): Promise<staling.StalePlan | staling.StaleResult> {
  const { group, activity, idle, flag } = options
  const stale = { group, activity, idle: parseInterval(idle) }
  const flagged = flag === undefined ? null : { table: writtenName(flag.table), column: flag.column }
  const engine = complete({ deadlineMs: DEADLINE_MS, ...options })
  const request = { ...purgeRequest(options), where: '', stale }
  const arrangement = [targetOf(database), writtenName(options.table), request, flagged, engine] as const
  return options.execute === true ? staling.purgeStale(...arrangement) : staling.planStaleOf(...arrangement)
}
