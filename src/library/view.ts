import { view as command, type ViewResult } from '../engine/commands/view.ts'
import type { ViewPlan } from '../plan/view/view.ts'
import { VIEW } from '../requests/view.ts'
import { callOf, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { LockOptions, Options } from './options.ts'

/** Which rows the view hides. */
export interface ViewOptions extends Options, LockOptions {
  readonly table: Table
  /** Its name; by default the table's with `_live`. */
  readonly name?: Table
  /** Hides rows that are marked in this column. */
  readonly hideMarked?: string
  /** Hides rows for which this is true, as after WHERE; `now()` moves on. */
  readonly expired?: string
  /** Hides rows that are older. */
  readonly keep?: { readonly by: string; readonly interval: string }
}

/**
 * Creates or updates a view without the rows that are marked or have expired.
 *
 * @throws {ObjectionsError} with `execute`, when there are blocking issues; without, they are in the plan
 */
export const view: Call<ViewOptions, ViewPlan, ViewResult> = callOf(command, VIEW)
