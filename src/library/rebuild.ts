import { rebuild as command } from '../engine/commands/rebuild.ts'
import type { CopyResult } from '../engine/copy/run.ts'
import type { RebuildPlan } from '../plan/copy/summary.ts'
import { REBUILD } from '../requests/rebuild.ts'
import { callOf, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { CopyOptions, LockOptions, Options } from './options.ts'

/** Which rows the new table keeps, and how they are copied. */
export interface RebuildOptions extends Options, LockOptions, CopyOptions {
  readonly table: Table
  /**
   * The rows to keep, as after WHERE; `now()` is fixed once, at the start.
   * Null keeps all, and has to be passed explicitly.
   */
  readonly keep: string | null
}

/**
 * Rebuilds a table with the rows to keep while it is in use; called again after
 * an interruption it resumes. The retired table is kept until `retire`.
 *
 * @throws {ObjectionsError} with `execute`, when there are blocking issues; without, they are in the plan
 */
export const rebuild: Call<RebuildOptions, RebuildPlan, CopyResult> = callOf(command, REBUILD)
