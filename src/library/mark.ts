import { mark as command } from '../engine/commands/mark.ts'
import type { PurgeResult } from '../engine/commands/purge.ts'
import type { PurgePlan } from '../plan/purge/purge.ts'
import { MARK } from '../requests/mark.ts'
import { callOf, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { Options, PaceOptions } from './options.ts'

/** Which rows are marked, and where. */
export interface MarkOptions extends Options {
  readonly table: Table
  readonly pace?: PaceOptions
  /** The rows to mark, as after WHERE; `now()` is fixed once, at the start. */
  readonly where: string
  /** The column of the mark: a boolean becomes true, a time that is NULL the start time. */
  readonly column: string
  /** Allows a condition that is true of every row. */
  readonly allRows?: boolean
  /** Vacuums and analyzes at the end; true by default. */
  readonly vacuum?: boolean
  /** How long to retry locked rows, and to wait for a locked table; a minute by default. */
  readonly deadlineMs?: number
  /** Waits for another run on the same table: `10 minutes`, milliseconds, or true, as long as for a locked table. */
  readonly wait?: string | number | true
}

/**
 * Marks rows in batches, each one short transaction; called again after an
 * interruption it resumes.
 *
 * @throws {ObjectionsError} with `execute`, when there are blocking issues; without, they are in the plan
 */
export const mark: Call<MarkOptions, PurgePlan, PurgeResult> = callOf(command, MARK)
