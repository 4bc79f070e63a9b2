import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { DefaultPartition } from '../../catalog/partitions/default-partition.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { Interval } from '../../grid/interval.ts'
import { type Position } from '../../grid/key.ts'
import type { Archiving } from './archiving.ts'
import type { ColumnarFacts } from '../../catalog/partitions/columnar-facts.ts'
import type { MoveFacts } from '../../catalog/partitions/move-facts.ts'
import type { Exclusion } from './beside-default.ts'
import type { BegunRetirement, Newest } from './begun.ts'
import { type TableName } from '../../sql/names.ts'
import type { Rewriting } from './columnar.ts'
import { type Horizon } from './horizon.ts'
import type { MovedPartition, Removing } from './moved.ts'
import type { Moving } from './moving.ts'
import type { Retire } from './request.ts'
import { type Creation } from './runway.ts'
import type { HoldAround } from '../language/hold.ts'
import type { SetPolicy } from '../language/policy.ts'
import type {
  ArchiveStep,
  DetachStep,
  MoveStep,
  OnlineStep,
  RewriteStep,
  ShortLockStep,
  DependentObject,
  Objection,
} from '../language/step.ts'

/** Everything a rotation depends on, from one snapshot. */
export interface RotationSituation {
  /** With the moment by which everything is decided: that of a saved plan, or when this was read. */
  readonly server: ServerModel
  /** When it was read, by the server's clock: microseconds since the epoch. */
  readonly readAt: string
  readonly journalSchema: string
  readonly set: PartitionedTable
  readonly registered: SetPolicy | null
  /** The server's time zone, which may be that of an unregistered set's bounds. */
  readonly timezone: string
  /** The newest row in the partitions up to now; null if there is none, `unknown` if it could not be found quickly. */
  readonly newest: NewestRow | null | 'unknown'
  /** Whether there was time to look for it; a plan that is only shown does not take that time. */
  readonly thorough: boolean
  /** By id: ids per microsecond; null if unknown. */
  readonly idRate: number | null
  /** By id: the known newest times of partitions, by oid. */
  readonly newestIn: ReadonlyMap<string, Newest>
  /** Restored rows that are not to be removed yet. */
  readonly holds: readonly HoldAround[]
  /** Retirements that earlier rotations have not finished. */
  readonly begun: readonly BegunRetirement[]
  /** An unfinished run on the table, such as a conversion. */
  readonly unfinished: { readonly id: string; readonly command: string } | null
  /** A DEFAULT partition that is not empty, or has a CHECK that was left, with what is known of its rows. */
  readonly fallback: DefaultPartition | null
  /** What decides whether partitions can be moved to another server; missing where that is not asked for. */
  readonly moveFacts?: MoveFacts
  /** The same of storing them in columns. */
  readonly columnarFacts?: ColumnarFacts
  /** Partitions that are on other servers. */
  readonly moved: readonly MovedPartition[]
  /** Names in the set's schema. */
  readonly taken: ReadonlySet<string>
}

export interface NewestRow {
  readonly key: Position
  /** By id: the expiry time of that row. */
  readonly time: Position | null
}

/** The rotation of one set. Objections withhold only the actions they concern: the steps are executed all the same. */
export interface RotationPlan {
  readonly goal: string
  /** When its situation was read, by the server's clock: ISO 8601 in UTC; empty where it was not. */
  readonly at: string
  readonly table: TableName
  /** Null if unknown. */
  readonly policy: SetPolicy | null
  /** False if this rotation will register the set. */
  readonly registered: boolean
  /** Whether the table is unregistered, and nothing else done. */
  readonly forgets: boolean
  /** Null if nothing expires. */
  readonly horizon: Horizon | null
  readonly finalize: readonly Finalization[]
  /** Of a CHECK that an interrupted rotation has left on the DEFAULT partition, which rejects rows; null without. */
  readonly readmit: ShortLockStep | null
  /** For a large DEFAULT partition, before partitions are created, and dropped after it. */
  readonly exclusion: (Exclusion & { readonly drop: ShortLockStep }) | null
  readonly create: readonly Creation[]
  /** Detached by an earlier rotation, and to be dropped now. */
  readonly leftovers: readonly Leftover[]
  /** Of moved partitions that an earlier rotation has begun to remove: tables on the other server. */
  readonly leftThere: readonly Removing[]
  /** Detached for a while, and not watched yet: the rotation was interrupted. */
  readonly watch: readonly Watching[]
  /** Oldest first. */
  readonly retire: readonly Retirement[]
  /** Retirements withheld because of objections. */
  readonly withheld: readonly Retirement[]
  /** Old partitions that are kept, with reasons. */
  readonly skipped: readonly Skipped[]
  /** When the history partition expires as a whole. */
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
  /** Null where its rows are not archived. */
  readonly archiving: Archiving | null
  readonly step: ShortLockStep
  /** Only if nobody has written to it since. */
  readonly unwritten: boolean
}

export interface Watching {
  readonly begun: BegunRetirement
  readonly step: ShortLockStep
}

/** The steps of a rotation. */
export type RotationStep = ShortLockStep | OnlineStep | DetachStep | ArchiveStep | MoveStep | RewriteStep

export interface Retirement {
  readonly partition: Partition
  readonly method: Retire
  /** The bounds for display. */
  readonly shown: { readonly from: string; readonly to: string }
  readonly rows: number | null
  readonly bytes: number
  /** By id: the newest time in it. */
  readonly newest: string | null
  /** How long it stays detached before it is dropped; null: it does not. */
  readonly grace: Interval | null
  /** Null where its rows are not archived. */
  readonly archiving: Archiving | null
  /** Null where it is not moved to another server. */
  readonly moving: Moving | null
  /** Null where it is not rewritten in columns. */
  readonly rewriting: Rewriting | null
  /** Null where it was not moved before, and so is not removed on the other server. */
  readonly removing: Removing | null
  readonly steps: readonly RotationStep[]
}

export interface Skipped {
  readonly partition: TableName
  readonly reason: string
}
