import type { TableName } from '../sql/names.ts'

// What a purge does, as the journal keeps it: plain data, its SQL as text without parameters.

/** The rows to delete, and how they are come by. */
export interface PurgeWork {
  readonly table: TableName
  /** The condition with now() fixed; to be put in parentheses and on lines of its own, for it may end in a comment. */
  readonly where: string
  /** Under which the condition was written. */
  readonly searchPath: string
  /** The table itself, or its partitions that can hold such rows: an address is unique only within one of them. */
  readonly leaves: readonly PurgeLeaf[]
  readonly entourage: Entourage
}

export interface PurgeLeaf {
  readonly name: TableName
  readonly walk: Walk
  /** Its size when the purge was planned. Rows in later blocks were written since. */
  readonly blocks: number
  /** Rows in a block at most, by the statistics; null where there are none. */
  readonly rowsPerBlock: number | null
  /** Rows that match, as the planner believes. */
  readonly estimatedRows: number
}

/** How the rows are found: block after block, or along an index. */
export type Walk = { readonly kind: 'blocks' } | KeyWalk

export interface KeyWalk {
  readonly kind: 'key'
  readonly index: string
  readonly columns: readonly KeyWalkColumn[]
  /** Equal keys need the address as well to be told apart. */
  readonly unique: boolean
}

export interface KeyWalkColumn {
  readonly name: string
  /** Its type, qualified and quoted, without a length: casting to `character` would keep one letter. */
  readonly type: string
}

/** What goes with the rows of a batch, and what keeps rows from going. */
export interface Entourage {
  /** Columns that `victim`, the rows of a batch, has to show the companions. */
  readonly columns: readonly string[]
  /** True of a row `t` that matches and has to stay; null where no row has. */
  readonly held: string | null
  /** Deleted in the same statement. */
  readonly companions: readonly Companion[]
}

export interface Companion {
  readonly table: TableName
  /** `delete from … where … in (select … from victim) returning 1`. */
  readonly statement: string
}

export const ALONE: Entourage = { columns: [], held: null, companions: [] }
