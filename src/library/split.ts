import type { CopyResult } from '../engine/copy/run.ts'
import { split as command, type SplitOrder } from '../engine/commands/split.ts'
import { parseInterval } from '../grid/interval.ts'
import { parseWidth } from '../plan/partition/parse-width.ts'
import type { SplitPlan } from '../plan/split/split.ts'
import { copyRequest, type CopyOptions } from './copying.ts'
import { callOf } from './call.ts'
import { writtenName, type Table } from './database.ts'
import type { PacedOptions } from './options.ts'

/** Which partition is divided, and into what. */
export interface SplitOptions extends PacedOptions, CopyOptions {
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
export const split = callOf<SplitOptions, SplitOrder, SplitPlan, CopyResult>(command, (options) => {
  const { partition, every, keep } = options
  return {
    partition: partition === undefined ? null : writtenName(partition),
    every: every === undefined ? null : parseWidth(String(every)),
    keep: keep === undefined ? null : parseInterval(keep),
    ...copyRequest(options),
  }
})
