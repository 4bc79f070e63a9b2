import * as rotating from '../engine/commands/rotate.ts'
import type { RotationPlan } from '../plan/rotate/plan.ts'
import type { Retire } from '../plan/rotate/request.ts'
import { ROTATE } from '../requests/rotate.ts'
import { call, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { ArchivingOptions, LockOptions, Options, PaceOptions } from './options.ts'

/** Which tables are rotated, and how. */
export interface RotateOptions extends Options, LockOptions, ArchivingOptions {
  /** Partitioned tables; `all` for those managed by rotate. */
  readonly tables: readonly Table[] | 'all'
  /** Retention period, instead of the registered one. */
  readonly keep?: string
  /** What to do with expired partitions; `drop` by default. */
  readonly retire?: Retire
  /** With `retire: 'move'`: the foreign server of postgres_fdw where partitions go. */
  readonly to?: string
  /** The same server as Ebb reaches it, as a role that may create tables there. */
  readonly toUrl?: string
  /** With `retire: 'move'`: rows older than this are removed from the other server, too: `7 years`. */
  readonly keepMoved?: string
  /** How long detached partitions stay before they are dropped, instead of the registered time: `7 days`. */
  readonly grace?: string
  /** The tables are no longer managed: their registration is removed, and nothing else. */
  readonly forget?: boolean
  /** Where rows are archived before they are removed: a directory, `file:///dir` or `s3://bucket/prefix?region=…`. */
  readonly archive?: string
  /** With `archive`: a folder for each partition, named after its lower bound, as Hive names them. */
  readonly hive?: boolean
  /** Rows may be removed without an archive. */
  readonly noArchive?: boolean
  /** What the journal says of the tables is kept for longer than 400 days, from now on: `7 years`. */
  readonly keepJournal?: string
  /** Without what concerns batches: whole partitions are removed. */
  readonly pace?: Omit<PaceOptions, 'pauseMs' | 'targetMs'>
}

/**
 * Creates partitions ahead and retires expired ones. A failure of one table is in its report and does not stop the others.
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
