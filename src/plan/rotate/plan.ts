import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import { type Position } from '../../grid/key.ts'
import type { BegunRetirement, Newest } from './begun.ts'
import { type TableName } from '../../sql/names.ts'
import { type Horizon } from './horizon.ts'
import type { Retire } from './request.ts'
import { type Creation } from './runway.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { DetachStep, ShortLockStep, DependentObject, Objection } from '../language/step.ts'

/** All that a rotation depends on, read in one moment. */
export interface RotationSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly set: PartitionedTable
  readonly registered: SetPolicy | null
  /** The server's own time zone, in which an unregistered set may have been laid out. */
  readonly timezone: string
  /** The newest row in the partitions up to now; null where there is none, `unknown` where it could not be found quickly. */
  readonly newest: NewestRow | null | 'unknown'
  /** Whether there was time to look for it; a plan that is only shown does not take it. */
  readonly thorough: boolean
  /** Of a set by id: ids in a microsecond; null where that cannot be told. */
  readonly idRate: number | null
  /** Of a set by id: the newest time in partitions, as far as it is known, by oid. */
  readonly newestIn: ReadonlyMap<string, Newest>
  /** What earlier rotations have begun and not ended. */
  readonly begun: readonly BegunRetirement[]
  /** A conversion or the like that is under way. */
  readonly unfinished: { readonly id: string; readonly command: string } | null
  /** Names in the set's schema. */
  readonly taken: ReadonlySet<string>
}

export interface NewestRow {
  readonly key: Position
  /** Of a set by id: the time of that row by which it will expire. */
  readonly time: Position | null
}

/**
 * What a rotation of one set will do. Objections keep only that from being
 * done which they are about: whatever is among the steps is done all the same.
 */
export interface RotationPlan {
  readonly goal: string
  readonly table: TableName
  /** Null where it cannot be told. */
  readonly policy: SetPolicy | null
  /** False for a set that this rotation will register. */
  readonly registered: boolean
  /** Null where nothing expires. */
  readonly horizon: Horizon | null
  readonly finalize: readonly Finalization[]
  readonly create: readonly Creation[]
  /** Detached by an interrupted rotation, and still to be dropped. */
  readonly leftovers: readonly Leftover[]
  /** Oldest first. */
  readonly retire: readonly Retirement[]
  /** What would be retired, were it not for the objections. */
  readonly withheld: readonly Retirement[]
  /** Partitions that stay although they are old, or may surprise by staying. */
  readonly skipped: readonly Skipped[]
  /** When the wide partition of everything before can go as a whole. */
  readonly historyGoesOn: { readonly partition: TableName; readonly position: Position; readonly shown: string } | null
  readonly evidence: readonly string[]
  readonly dependents: readonly DependentObject[]
  readonly objections: readonly Objection[]
  readonly notes: readonly string[]
  readonly steps: readonly RotationStep[]
}

export interface Finalization {
  readonly partition: Partition
  readonly step: ShortLockStep
}

export interface Leftover {
  readonly begun: BegunRetirement
  readonly step: ShortLockStep
}

/** What a rotation consists of. */
export type RotationStep = ShortLockStep | DetachStep

export interface Retirement {
  readonly partition: Partition
  readonly method: Retire
  /** The bounds for people. */
  readonly shown: { readonly from: string; readonly to: string }
  readonly rows: number | null
  readonly bytes: number
  /** Of a set by id: the newest time in it. */
  readonly newest: string | null
  readonly steps: readonly RotationStep[]
}

export interface Skipped {
  readonly partition: TableName
  readonly reason: string
}
