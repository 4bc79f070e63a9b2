import type { ConditionSettings } from '../../../sql/condition-settings.ts'
import type { TableName } from '../../../sql/names.ts'
import type { ArchiveRequest } from '../../archive/request.ts'
import type { RowsToArchive } from '../../archive/rows.ts'

/** What is archived before a purge: plain data, its SQL as text without parameters. */
export interface ArchiveSetWork {
  readonly to: ArchiveRequest
  /** Of the table itself first, then of those whose rows depend on them. */
  readonly rows: readonly [RowsToArchive, ...RowsToArchive[]]
  /** The tables with their keys, in the same order. */
  readonly sets: readonly ArchivedKeys[]
  /** Statements in the same snapshot, before the rows are read: what has changed is dropped from the set, and the keys of dependent rows are collected. */
  readonly preparation: readonly string[]
  readonly settings: ConditionSettings
  readonly approvedBy: string | null
  readonly ticket: string | null
}

/** Where the keys of the archived rows of a table are. */
export interface ArchivedKeys {
  readonly table: TableName
  readonly set: TableName
  readonly columns: readonly string[]
  /** It is a list of row versions, with their keys in arrays; else it has a row for each key. */
  readonly listed?: true
  /** It is a list that Citus stores: an entry whose row is deleted has the number of a batch. */
  readonly stored?: true
}
