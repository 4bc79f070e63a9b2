import { purge as command, type PurgeResult } from '../engine/commands/purge.ts'
import type { PurgePlan } from '../plan/purge/purge.ts'
import { PURGE, resolvePurge } from '../requests/purge.ts'
import { answersOf, call, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { Options, PaceOptions } from './options.ts'

/** Which rows go, and what may go with them. */
export interface PurgeOptions extends Options {
  readonly table: Table
  readonly pace?: PaceOptions
  /** The rows to delete, as after WHERE; `now()` is fixed once, at the start. One of `where`, `candidates` and `marked` is given. */
  readonly where?: string
  /** The rows of a candidate set that have not changed since; who wants them gone is kept with the run. */
  readonly candidates?: { readonly set: number | bigint; readonly approvedBy?: string; readonly ticket?: string }
  /** The rows that `mark` has marked in a column, if need be only those marked longer ago. */
  readonly marked?: { readonly column: string; readonly olderThan?: string }
  /** Without it nothing is deleted: there are no archives yet. */
  readonly noArchive?: boolean
  /** Rows of other tables that refer to them go, too. Without it, rows that are referred to stay. */
  readonly cascade?: boolean
  /** Tables no row of which is to be touched: what leads to one stays, and is reported. */
  readonly protect?: readonly Table[]
  /** Goes along an index that begins with this column. */
  readonly orderBy?: string
  /** It is meant if the condition is true of every row. */
  readonly allRows?: boolean
  /** Vacuums and analyses what was touched, afterwards; true by default. */
  readonly vacuum?: boolean
  /** How long to come back for rows that others hold locked; a minute by default. */
  readonly deadlineMs?: number
}

/**
 * Deletes rows in batches, each one short transaction; called again after an
 * interruption it goes on where it was.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export const purge: Call<PurgeOptions, PurgePlan, PurgeResult> = call(PURGE, async (asked) => {
  const { table, request } = await resolvePurge(asked.target, asked.values.table, asked.request, asked.engine)
  return answersOf(asked, table, command, request)
})
