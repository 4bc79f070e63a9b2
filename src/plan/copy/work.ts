import type { ConditionSettings } from '../../sql/condition-settings.ts'
import type { TableName } from '../../sql/names.ts'
import type { Capture } from './capture.ts'

/** One copy from a table into another while the first is being written to. Everything a resumption needs. */
export interface CopyWork {
  readonly source: TableName
  readonly target: TableName
  /** The columns that are written, as a list for SQL. */
  readonly columns: string
  /** The rows that are kept, as a condition; null for all. */
  readonly keep: string | null
  /** Under which the condition is read, and code of the user's runs where rows are written. */
  readonly settings: ConditionSettings
  readonly capture: Capture
}

/** How rows travel: streamed as binary COPY from session to session, or by `insert … select` on the server. */
export type Transport = 'copy' | 'server'

/** Sessions that share the work of a copy; by `auto` one, and a second while the database has room for it. */
export type Jobs = number | 'auto'
