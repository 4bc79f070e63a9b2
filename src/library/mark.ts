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
  /** Where the mark goes: a boolean becomes true, a time that is NULL the moment of the start. */
  readonly column: string
  /** It is meant if the condition is true of every row. */
  readonly allRows?: boolean
  /** Vacuums and analyses afterwards; true by default. */
  readonly vacuum?: boolean
  /** How long to come back for rows that others hold locked; a minute by default. */
  readonly deadlineMs?: number
}

/**
 * Marks rows in batches, each one short transaction; called again after an
 * interruption it goes on where it was.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export const mark: Call<MarkOptions, PurgePlan, PurgeResult> = callOf(command, MARK)
