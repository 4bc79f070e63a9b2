import type { CopyResult } from '../engine/copy/run.ts'
import * as rebuilding from '../engine/commands/rebuild.ts'
import { UsageError } from '../errors.ts'
import type { RebuildPlan } from '../plan/copy/rebuild.ts'
import { copyRequest, type CopyOptions } from './copying.ts'
import { targetOf, writtenName, type Database, type Table } from './database.ts'
import { complete, type PacedOptions } from './options.ts'

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
export async function rebuild(
  database: Database,
  options: RebuildOptions & { readonly execute: true },
): Promise<CopyResult>
export async function rebuild(
  database: Database,
  options: RebuildOptions & { readonly execute?: false },
): Promise<RebuildPlan>
export async function rebuild(
  database: Database,
  options: RebuildOptions & { readonly execute?: boolean },
): Promise<RebuildPlan | CopyResult> {
  const { keep } = options
  if (keep?.trim() === '') throw new UsageError('keep is empty', 'Give a condition, or null to keep all rows.')
  const request = { keep, ...copyRequest(options) }
  const arrangement = [targetOf(database), writtenName(options.table), request, complete(options)] as const
  return options.execute === true ? rebuilding.rebuild(...arrangement) : rebuilding.planRebuildOf(...arrangement)
}
