import type { Position } from '../../grid/key.ts'
import type { TableName } from '../../sql/names.ts'

/** A partition on its way out. */
export interface RetirementEntry {
  readonly oid: string
  readonly table: TableName
  readonly partition: TableName
  readonly method: 'drop' | 'detach'
  /** As PostgreSQL printed them while it was attached: a detached table has none. */
  readonly bounds: string
  readonly bytes: number
  readonly estimatedRows: number | null
}

/** How a partition stands that a rotation has begun to retire. */
export interface BegunRetirement extends RetirementEntry {
  readonly state: 'attached' | 'half detached' | 'detached' | 'gone'
  readonly foreignKeys: readonly { readonly name: string; readonly references: TableName }[]
}

/** The newest time in a partition; `never` where a row has none, or `infinity`, and so does not expire. */
export type Newest = Position | 'empty' | 'never'
