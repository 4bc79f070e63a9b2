import type { ConditionFacts } from '../../catalog/condition/condition.ts'
import type { Beside } from '../../catalog/partitions/default-partition.ts'
import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { UserType } from '../../catalog/table/user-types.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { Interval } from '../../grid/interval.ts'
import type { TableName } from '../../sql/names.ts'
import type { Predicate } from '../../sql/predicate.ts'
import type { ArchivedTable, Encoding } from '../archive/receipt.ts'
import type { ColumnNumbers, RestoreTarget } from './columns.ts'

/** Which rows go into which table. */
export interface RestoreRequest {
  /** The address of the receipt. */
  readonly receipt: string
  /** Which of its tables; null: all. */
  readonly archived: TableName | null
  /** Only rows for which this is true; null: all. */
  readonly where: string | null
  /** What becomes of a row that the table has with other values. */
  readonly onConflict: OnConflict
  /** A partition that is gone is created again. */
  readonly attach: boolean
  /** How long no command removes the rows again; null: it may at once. */
  readonly hold: Interval | null
  readonly accept: readonly string[]
}

export const ON_CONFLICT = ['keep', 'overwrite'] as const

export type OnConflict = (typeof ON_CONFLICT)[number]

export interface RestoreSituation {
  readonly server: ServerModel
  readonly journalSchema: string
  readonly receipt: ReceiptFacts
  /** In the order of the receipt. */
  readonly tables: readonly TableToRestore[]
}

export interface ReceiptFacts {
  readonly encoding: Encoding
  /** SHA-256 of the receipt as it is stored. */
  readonly sha256: string
  /** The same, as the journal has it; null where it does not know the archive. */
  readonly recorded: string | null
  /** Of a command that removes what it archives, without the document that says what it has removed. */
  readonly unremoved: boolean
}

/** A table that takes rows, with those that it takes. */
export interface TableToRestore {
  readonly table: RestoreTarget
  /** Where the rows of a partition go through its table. */
  readonly set: PartitionedTable | null
  /** The DEFAULT partition of it; null where there is none, or it is empty. */
  readonly beside: Beside | null
  /** Names in the schema of the archived partition that are in use. */
  readonly taken: ReadonlySet<string>
  readonly numbers: ColumnNumbers
  /** Those of the archived columns that there are, as they are now. */
  readonly types: readonly UserType[]
  readonly rights: RestoreRights
  /** Whether it has no rows. */
  readonly empty: boolean
  readonly archived: ArchivedTable
  /** The columns of the keys of rows that were archived, and kept when the others were removed; null without such rows. */
  readonly keptBy: readonly string[] | null
  readonly predicate: Predicate | null
  readonly condition: ConditionFacts
}

export interface RestoreRights {
  readonly insert: boolean
  readonly update: boolean
  readonly createTemporary: boolean
  /** Row-level security applies to this role. */
  readonly rowsHidden: boolean
}
