import { split as command } from '../engine/commands/split.ts'
import type { CopyResult } from '../engine/copy/run.ts'
import type { SplitPlan } from '../plan/split/split.ts'
import { SPLIT } from '../requests/split.ts'
import { callOf, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { CopyOptions, LockOptions, Options } from './options.ts'

/** Which partition is divided, and into what. */
export interface SplitOptions extends Options, LockOptions, CopyOptions {
  readonly table: Table
  /** The one to divide; by default the first that is wider than the others. */
  readonly partition?: Table
  /** By default the width of the set. */
  readonly every?: string | bigint
  /** Rows that are older are left behind; without it all are kept. */
  readonly keep?: string
}

/**
 * Exchanges a wide partition, such as the history of a converted table, for
 * proper ones. The former partition is kept as a table until `retire`.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export const split: Call<SplitOptions, SplitPlan, CopyResult> = callOf(command, SPLIT)
