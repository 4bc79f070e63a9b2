import type { TableName } from '../../sql/names.ts'

// What was deleted because of a receipt, row by row: removal.json, beside it, written once all of it is done. A
// restore leaves out the keys of the rows that were archived and kept.

export const REMOVAL_FORMAT = 1

/** All of it but `keptKeys`, an array of keys, each an array of texts: they may be many. */
export interface RowsRemoval {
  readonly format: typeof REMOVAL_FORMAT
  readonly receipt: { readonly uri: string; readonly sha256: string }
  readonly run: { readonly command: string; readonly id: string; readonly startedAt: string; readonly endedAt: string }
  readonly table: TableName
  readonly archived: number
  readonly deleted: number
  readonly batches: number
  /** Archived and not deleted: changed since, deleted by others, or not to be deleted. */
  readonly kept: number
  /** The columns of the keys. */
  readonly key: readonly string[]
}
