import * as rotating from '../engine/commands/rotate.ts'
import { parseInterval } from '../grid/interval.ts'
import { LIGHT_PACE } from '../pacing/limits.ts'
import type { RotationPlan } from '../plan/rotate/plan.ts'
import type { Retire } from '../plan/rotate/request.ts'
import { targetOf, writtenName, type Database, type Table } from './database.ts'
import { complete, type PacedOptions } from './options.ts'

/** Which tables are rotated, and how. */
export interface RotateOptions extends PacedOptions {
  /** Partitioned tables; `all` for those that are registered. */
  readonly tables: readonly Table[] | 'all'
  /** Instead of what is registered. */
  readonly keep?: string
  /** What becomes of a partition that has expired; `drop` by default. */
  readonly retire?: Retire
  /** Without it nothing is removed: there are no archives yet. */
  readonly noArchive?: boolean
}

/**
 * Makes partitions ahead and retires those that have expired; what goes wrong with one set is in its report.
 *
 * @throws {UsageError} when an option cannot be understood
 */
export async function rotate(
  database: Database,
  options: RotateOptions & { readonly execute: true },
): Promise<rotating.RotationReport>
export async function rotate(
  database: Database,
  options: RotateOptions & { readonly execute?: false },
): Promise<RotationPlan[]>
export async function rotate(
  database: Database,
  options: RotateOptions & { readonly execute?: boolean },
): Promise<RotationPlan[] | rotating.RotationReport> {
  const { tables, keep, retire = 'drop', noArchive = false, accept = [] } = options
  const request: rotating.RotateRequest = {
    tables: tables === 'all' ? tables : tables.map(writtenName),
    keep: keep === undefined ? null : parseInterval(keep),
    retire,
    noArchive,
    accept,
  }
  const arrangement = [targetOf(database), request, complete(options, LIGHT_PACE)] as const
  return options.execute === true ? rotating.rotate(...arrangement) : rotating.planRotations(...arrangement)
}
