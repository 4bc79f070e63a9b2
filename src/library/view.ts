import { view as command, type ViewOrder, type ViewResult } from '../engine/commands/view.ts'
import { UsageError } from '../errors.ts'
import { parseInterval } from '../grid/interval.ts'
import type { ViewPlan } from '../plan/view/view.ts'
import { nonEmpty } from './checks.ts'
import { callOf } from './call.ts'
import { writtenName, type Table } from './database.ts'
import type { LockOptions } from './options.ts'

/** What the view leaves out. */
export interface ViewOptions extends LockOptions {
  readonly table: Table
  /** By default that of the table with `_live`. */
  readonly name?: Table
  /** Hides rows that are marked in this column. */
  readonly hideMarked?: string
  /** Hides rows for which this is true, as after WHERE; `now()` moves on. */
  readonly expired?: string
  /** Hides rows that are older. */
  readonly keep?: { readonly by: string; readonly interval: string }
}

/**
 * Makes a view without rows that are marked or have expired, or brings it up to date.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export const view = callOf<ViewOptions, ViewOrder, ViewPlan, ViewResult>(command, (options) => {
  const { name, hideMarked = null, expired = null, keep } = options
  if ((hideMarked ?? expired ?? keep ?? null) === null)
    throw new UsageError('nothing is to be hidden', 'Give hideMarked, expired or keep.')
  return {
    name: name === undefined ? null : writtenName(name),
    hideMarked,
    expired: expired === null ? null : nonEmpty(expired),
    keep: keep === undefined ? null : { by: keep.by, interval: parseInterval(keep.interval) },
  }
})
