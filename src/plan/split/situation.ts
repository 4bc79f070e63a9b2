import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { TriggerCode } from '../../catalog/table/trigger-code.ts'
import type { Cell, Grid } from '../../grid/grid.ts'
import type { Interval } from '../../grid/interval.ts'
import type { Position } from '../../grid/key.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import type { LeftOutRequest } from '../copy/left-out.ts'
import type { Jobs, Transport } from '../copy/work.ts'
import type { SetPolicy } from '../language/policy.ts'

/** What the user asked for. */
export interface SplitRequest extends LeftOutRequest {
  /** The rows worth keeping; null keeps all. */
  readonly keep: Interval | null
  readonly transport: Transport | 'auto'
  readonly jobs: Jobs
  /** How long after the end rotate drops the retired table; null: only `ebb retire` does. */
  readonly retireAfter: Interval | null
}

/** What a split depends on, read in one moment. */
export interface SplitSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly set: PartitionedTable
  /** The partitioned table, with its dependent objects. */
  readonly parent: TableModel
  readonly policy: SetPolicy
  readonly grid: Grid
  readonly partition: Partition
  /** The partition as a table. */
  readonly wide: TableModel
  /** Of a DEFAULT partition: for which partitions are made; its other rows go into a new one. */
  readonly cells?: readonly Cell[]
  /** Least value of the key among its rows that are kept, or one below where that cannot be told; null where there are none. */
  readonly least: Position | null
  /** Rows to be kept, as the planner estimates; null where there are no statistics. */
  readonly keptRows: number | null
  /** Of the role, for code of the user's. */
  readonly settings: ConditionSettings
  readonly taken: ReadonlySet<string>
  readonly tag: string
  /** Codes of objections. Older versions have stored situations without. */
  readonly accepted?: readonly string[]
  readonly triggerCode?: readonly TriggerCode[]
}
