import type { CopyResult } from '../engine/copy/run.ts'
import { rebuild as command } from '../engine/commands/rebuild.ts'
import { UsageError } from '../errors.ts'
import type { RebuildPlan, RebuildRequest } from '../plan/copy/rebuild.ts'
import { copyRequest, type CopyOptions } from './copying.ts'
import { callOf } from './call.ts'
import type { Table } from './database.ts'
import type { PacedOptions } from './options.ts'

/** Which rows the new table keeps, and how they are copied. */
export interface RebuildOptions extends PacedOptions, CopyOptions {
  readonly table: Table
  /**
   * The rows worth keeping, as after WHERE; `now()` is fixed once, at the start.
   * Null keeps all, and has to be said.
   */
  readonly keep: string | null
}

/**
 * Builds a table anew around the rows worth keeping while it is in use; called
 * again after an interruption it goes on. The retired table is kept until `retire`.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export const rebuild = callOf<RebuildOptions, RebuildRequest, RebuildPlan, CopyResult>(command, (options) => {
  const { keep } = options
  if (keep?.trim() === '') throw new UsageError('keep is empty', 'Give a condition, or null to keep all rows.')
  return { keep, ...copyRequest(options) }
})
