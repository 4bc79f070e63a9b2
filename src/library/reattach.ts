import * as reattaching from '../engine/commands/reattach.ts'
import { REATTACH } from '../requests/reattach.ts'
import { call, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { LockOptions, Options } from './options.ts'

/** Which partition, and for how long it stays then. */
export interface ReattachOptions extends Options, LockOptions {
  /** A partition that `rotate` has detached, and not dropped yet. */
  readonly partition: Table
  /** How long no command removes its rows again: `30 days` by default, or `none`. */
  readonly hold?: string
}

/**
 * Attaches a partition again that `rotate` has detached.
 *
 * @throws {UsageError} where it was not detached by `rotate`
 * @throws {ObjectionsError} with `execute`, where it no longer fits; without, this is in the plan
 */
export const reattach: Call<ReattachOptions, reattaching.ReattachPlan, reattaching.Reattached> = call(
  REATTACH,
  ({ target, request, engine, values: { partition } }) => ({
    plan: () => reattaching.planReattachOf(target, partition, request, engine),
    carryOut: () => reattaching.reattach(target, partition, request, engine),
  }),
)
