import type { Position } from '../../grid/key.ts'
import type { TableName } from '../../sql/names.ts'

/** A partition being retired. */
export interface RetirementEntry {
  readonly oid: string
  readonly table: TableName
  readonly partition: TableName
  /** `truncate`: it is archived first, and attached again. */
  readonly method: 'drop' | 'detach' | 'truncate'
  /** As PostgreSQL printed them while it was attached: a detached table has no bounds. */
  readonly bounds: string
  readonly bytes: number
  readonly estimatedRows: number | null
}

/** The state of a partition that a rotation has started to retire. */
export interface BegunRetirement extends RetirementEntry {
  readonly state: 'attached' | 'detach pending' | 'detached' | 'gone'
  readonly foreignKeys: readonly { readonly name: string; readonly references: TableName }[]
}

/** The newest time in a partition; `never` if a row has none, or `infinity`, and so does not expire. */
export type Newest = Position | 'empty' | 'never'
