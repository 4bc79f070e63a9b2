import { partitionByCopy } from '../engine/commands/partition-copy.ts'
import { partition as attach, type PartitionResult } from '../engine/commands/partition.ts'
import type { CopyResult } from '../engine/copy/run.ts'
import type { RebuildPlan } from '../plan/copy/rebuild.ts'
import type { PartitionPlan } from '../plan/partition/partition.ts'
import { PARTITION } from '../requests/partition.ts'
import { answersOf, call, type Answers, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { CopyOptions, LockOptions, Options } from './options.ts'

/** How a table is to be partitioned. */
export interface PartitionOptions extends Options, LockOptions {
  readonly table: Table
  /** The column that partitions. */
  readonly by: string
  /** `month`, `7 days`; or so many ids: `10_000_000` as text, or a bigint. */
  readonly every: string | bigint
  /** `attach` by default: no row is moved. */
  readonly method?: 'attach'
  /** `90 days`: how long rows are kept. Attaching removes nothing; it is remembered for `rotate`. */
  readonly keep?: string
  /** How many partitions are made ahead; by default as many as the width asks for. */
  readonly premake?: number
  /** Whose midnights the bounds are; UTC by default. */
  readonly timezone?: string
  /** Where ids partition: the column of times by which their rows expire. */
  readonly expireBy?: string
}

/** The same by copying, so that old rows are left behind at once. */
export interface PartitionCopyOptions extends Omit<PartitionOptions, 'method'>, CopyOptions {
  /** Rows of the keep window are copied into partitions; the retired table is kept until `retire`. */
  readonly method: 'copy'
}

/**
 * Turns a table into partitions while it is in use; called again after an
 * interruption it goes on, and called again after its end it has nothing to do.
 *
 * @throws {UsageError} when an option cannot be understood, or there is no such table
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export const partition = call(
  PARTITION,
  (asked): Answers<PartitionPlan | RebuildPlan, PartitionResult | CopyResult> => {
    const { attach: request, copy } = asked.request
    const { table } = asked.values
    return copy === null ? answersOf(asked, table, attach, request) : answersOf(asked, table, partitionByCopy, copy)
  },
) as Call<PartitionOptions, PartitionPlan, PartitionResult> & Call<PartitionCopyOptions, RebuildPlan, CopyResult>
