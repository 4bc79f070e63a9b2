import type { TableName } from '../../sql/names.ts'

// What was removed because of a receipt: removal.json, beside it, written once all of it is done. A restore leaves out
// the keys of the rows that were archived and kept.

/** The version of this format. A document of a later one is refused; version 1 was of one table. */
export const REMOVAL_FORMAT = 2

export interface Removal<Table extends TableRemoval = TableRemoval> {
  readonly format: typeof REMOVAL_FORMAT
  readonly receipt: { readonly uri: string; readonly sha256: string }
  readonly run: RemovalRun
  readonly how: 'deleted' | 'dropped' | 'truncated'
  readonly batches: number
  /** Those of the receipt, in its order. */
  readonly tables: readonly Table[]
}

/** Times are the server's, ISO 8601 in UTC. */
export interface RemovalRun {
  readonly command: string
  /** Null where the command has no run in the journal. */
  readonly id: string | null
  readonly startedAt: string
  readonly endedAt: string
}

/** What became of the archived rows of one table. */
export interface TableRemoval extends TableName {
  readonly archived: number
  readonly deleted: number
  /** Archived and not deleted: changed since, deleted by others, or not to be deleted. */
  readonly kept: number
  /** The columns of `keptKeys`. */
  readonly key: readonly string[]
}

/** With all keys of the rows that were kept, each an array of texts: they may be many. */
export interface StoredTableRemoval extends TableRemoval {
  readonly keptKeys: readonly (readonly string[])[]
}

export type StoredRemoval = Removal<StoredTableRemoval>

/** All archived rows of a table are removed at once, with it, and none is kept. */
export function removalOfTable(
  { schema, name }: TableName,
  how: 'dropped' | 'truncated',
  { uri, sha256, rows }: { readonly uri: string; readonly sha256: string; readonly rows: number },
  run: RemovalRun,
): StoredRemoval {
  return {
    format: REMOVAL_FORMAT,
    receipt: { uri, sha256 },
    run,
    how,
    batches: 1,
    tables: [{ schema, name, archived: rows, deleted: rows, kept: 0, key: [], keptKeys: [] }],
  }
}
