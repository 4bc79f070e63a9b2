import type { TableName } from '../../sql/names.ts'

// What was removed because of a receipt: removal.json, beside it. Of a partition all rows go at once, and none is kept.

export const REMOVAL_FORMAT = 1

/** Part of the journal entry until it is stored. */
export interface PartitionRemoval {
  readonly format: typeof REMOVAL_FORMAT
  readonly receipt: { readonly uri: string; readonly sha256: string }
  readonly run: { readonly command: 'rotate'; readonly id: null; readonly startedAt: string; readonly endedAt: string }
  readonly table: TableName
  readonly how: 'dropped' | 'truncated'
  readonly archived: number
  readonly deleted: number
  readonly batches: 1
  readonly kept: 0
  readonly key: readonly []
  readonly keptKeys: readonly []
}

/** Times are the server's, ISO 8601 in UTC. */
export function removalOf(
  table: TableName,
  how: PartitionRemoval['how'],
  { uri, sha256, rows }: { readonly uri: string; readonly sha256: string; readonly rows: number },
  times: { readonly startedAt: string; readonly endedAt: string },
): PartitionRemoval {
  return {
    format: REMOVAL_FORMAT,
    receipt: { uri, sha256 },
    run: { command: 'rotate', id: null, ...times },
    table,
    how,
    archived: rows,
    deleted: rows,
    batches: 1,
    kept: 0,
    key: [],
    keptKeys: [],
  }
}
