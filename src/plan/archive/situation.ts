import type { ConditionFacts } from '../../catalog/condition/condition.ts'
import type { LeafFacts } from '../../catalog/partitions/purge-leaves.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { NotReadBack } from '../../catalog/table/not-read-back.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { TableName } from '../../sql/names.ts'
import type { Predicate } from '../../sql/predicate.ts'
import type { ArchiveRequest } from './request.ts'

/** What `ebb archive` is asked for. It removes nothing. */
export interface ArchiveOrder {
  /** Null: all rows. */
  readonly where: string | null
  readonly to: ArchiveRequest
}

export interface ArchiveSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly table: TableModel
  /** The table's own, partitioned or not. */
  readonly itself: LeafFacts
  /** Foreign tables among its partitions. */
  readonly foreign: readonly TableName[]
  readonly notReadBack: readonly NotReadBack[]
  /** One of the rows is certainly too wide for the format. */
  readonly tooWide: boolean
  readonly predicate: Predicate | null
  readonly condition: ConditionFacts
  /** Rows, as the planner believes; null if unknown. */
  readonly rows: number | null
  readonly bytes: number
  /** Where Citus stores it: which of its partitions are columnar. */
  readonly stored?: { readonly columnar: readonly TableName[] }
}
