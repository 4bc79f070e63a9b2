import type { ConditionSettings } from '../../../sql/condition-settings.ts'
import type { TableName } from '../../../sql/names.ts'
import type { ArchiveRequest } from '../../archive/request.ts'
import type { RowsToArchive } from '../../archive/rows.ts'

/** What is archived before a purge: plain data, its SQL as text without parameters. */
export interface ArchiveSetWork {
  readonly to: ArchiveRequest
  readonly rows: RowsToArchive
  /** The table with the keys of the rows. */
  readonly set: TableName
  /** Statements in the same snapshot, before the rows are read, that drop from the set what has changed. */
  readonly narrowing: readonly string[]
  readonly settings: ConditionSettings
  readonly approvedBy: string | null
  readonly ticket: string | null
}

/** Where the keys of the archived rows of a table are. */
export interface ArchivedKeys {
  readonly table: TableName
  readonly set: TableName
  readonly columns: readonly string[]
}
