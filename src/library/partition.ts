import { partitionByCopy } from '../engine/commands/partition-copy.ts'
import { partition as attach, type PartitionResult } from '../engine/commands/partition.ts'
import type { CopyResult } from '../engine/copy/run.ts'
import type { RebuildPlan } from '../plan/copy/summary.ts'
import type { PartitionPlan } from '../plan/partition/partition.ts'
import { PARTITION } from '../requests/partition.ts'
import { answersOf, call, type Answers, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { CopyOptions, LockOptions, Options } from './options.ts'

/** How a table is to be partitioned. */
export interface PartitionOptions extends Options, LockOptions {
  readonly table: Table
  /** The key. */
  readonly by: string
  /** Width of a partition: `month`, `7 days`; or a number of ids: `10_000_000` as text, or a bigint. */
  readonly every: string | bigint
  /** `attach` by default: no row is moved. */
  readonly method?: 'attach'
  /** Retention period: `90 days`. Attaching removes nothing; `rotate` will. */
  readonly keep?: string
  /** Number of partitions to create ahead; the default depends on the width. */
  readonly premake?: number
  /** Time zone of the bounds; UTC by default. */
  readonly timezone?: string
  /** Where the key is an id: the time column by which rows expire. */
  readonly expireBy?: string
}

/** The same by copying, which leaves out expired rows. */
export interface PartitionCopyOptions extends Omit<PartitionOptions, 'method'>, CopyOptions {
  /** Rows that have not expired are copied into partitions; the retired table is kept until `retire`. */
  readonly method: 'copy'
}

/**
 * Partitions a table while it is in use; called again after an interruption it
 * resumes, and called again after its end it has nothing to do.
 *
 * @throws {UsageError} when an option cannot be understood, or there is no such table
 * @throws {ObjectionsError} with `execute`, when there are blocking issues; without, they are in the plan
 */
export const partition = call(
  PARTITION,
  (asked): Answers<PartitionPlan | RebuildPlan, PartitionResult | CopyResult> => {
    const { attach: request, copy } = asked.request
    const { table } = asked.values
    return copy === null ? answersOf(asked, table, attach, request) : answersOf(asked, table, partitionByCopy, copy)
  },
) as Call<PartitionOptions, PartitionPlan, PartitionResult> & Call<PartitionCopyOptions, RebuildPlan, CopyResult>
