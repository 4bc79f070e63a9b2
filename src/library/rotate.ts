import * as rotating from '../engine/commands/rotate.ts'
import type { RotationPlan } from '../plan/rotate/plan.ts'
import type { Retire } from '../plan/rotate/request.ts'
import { ROTATE } from '../requests/rotate.ts'
import { call, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { LockOptions, Options, PaceOptions } from './options.ts'

/** Which tables are rotated, and how. */
export interface RotateOptions extends Options, LockOptions {
  /** Partitioned tables; `all` for those that are registered. */
  readonly tables: readonly Table[] | 'all'
  /** Instead of what is registered. */
  readonly keep?: string
  /** What becomes of a partition that has expired; `drop` by default. */
  readonly retire?: Retire
  /** Without it nothing is removed: there are no archives yet. */
  readonly noArchive?: boolean
  /** Partitions go as a whole. */
  readonly pace?: Omit<PaceOptions, 'pauseMs' | 'targetMs'>
}

/**
 * Makes partitions ahead and retires those that have expired; what goes wrong with one set is in its report.
 *
 * @throws {UsageError} when an option cannot be understood
 */
export const rotate: Call<RotateOptions, RotationPlan[], rotating.RotationReport> = call(
  ROTATE,
  ({ target, request, engine }) => ({
    plan: () => rotating.planRotations(target, request, engine),
    carryOut: () => rotating.rotate(target, request, engine),
  }),
)
