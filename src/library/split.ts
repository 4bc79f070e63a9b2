import { split as command } from '../engine/commands/split.ts'
import type { CopyResult } from '../engine/copy/run.ts'
import type { SplitPlan } from '../plan/split/split.ts'
import { SPLIT } from '../requests/split.ts'
import { callOf, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { CopyOptions, LockOptions, Options } from './options.ts'

/** Which partition is split, and into what. */
export interface SplitOptions extends Options, LockOptions, CopyOptions {
  readonly table: Table
  /** The partition to split; by default the first that is too wide. */
  readonly partition?: Table
  /** Width of the new partitions: `7 days`, a number of ids; by default that of the table. */
  readonly every?: string | bigint
  /** Older rows are left behind; by default all are kept. */
  readonly keep?: string
}

/**
 * Splits a wide partition, such as the history of a converted table, into
 * regular ones. The old partition is kept as a retired table until `retire`.
 *
 * @throws {ObjectionsError} with `execute`, when there are blocking issues; without, they are in the plan
 */
export const split: Call<SplitOptions, SplitPlan, CopyResult> = callOf(command, SPLIT)
