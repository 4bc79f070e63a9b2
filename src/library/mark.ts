import * as marking from '../engine/commands/mark.ts'
import { DEADLINE_MS, type PurgeResult } from '../engine/commands/purge.ts'
import type { PurgePlan } from '../plan/purge/purge.ts'
import { nonEmpty } from './checks.ts'
import { targetOf, writtenName, type Database, type Table } from './database.ts'
import { complete, type Options, type PaceOptions } from './options.ts'

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
export async function mark(database: Database, options: MarkOptions & { readonly execute: true }): Promise<PurgeResult>
export async function mark(database: Database, options: MarkOptions & { readonly execute?: false }): Promise<PurgePlan>
export async function mark(
  database: Database,
  options: MarkOptions & { readonly execute?: boolean },
): Promise<PurgePlan | PurgeResult> {
  const { where, column, allRows = false, vacuum = true } = options
  const request = { where: nonEmpty(where), column, allRows, vacuum }
  const engine = complete({ deadlineMs: DEADLINE_MS, ...options })
  const arrangement = [targetOf(database), writtenName(options.table), request, engine] as const
  return options.execute === true ? marking.mark(...arrangement) : marking.planMarkOf(...arrangement)
}
