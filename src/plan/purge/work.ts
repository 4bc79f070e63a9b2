import type { ConditionSettings } from '../../sql/condition-settings.ts'
import type { ColumnPair } from '../../catalog/references/foreign-key.ts'
import type { TableName } from '../../sql/names.ts'
import type { Ordering } from '../../sql/operators.ts'

// What a purge does, as stored in the journal: plain data, its SQL as text without parameters.

/** The rows to delete, and how to reach them. */
export interface PurgeWork {
  readonly table: TableName
  /** Identifies the table, even if another one takes its name. */
  readonly oid: string
  /** The condition with now() fixed; to be put in parentheses and on lines of its own, for it may end in a comment. */
  readonly where: string
  /** Under which the condition is read, and triggers fire. */
  readonly settings: ConditionSettings
  /** The table itself, or its partitions that can hold such rows: an address is unique only within one of them. */
  readonly leaves: readonly PurgeLeaf[]
  readonly dependents: Dependents
  readonly action: Action
}

/** What is done to the rows: they are deleted or marked, or their keys are recorded. */
export type Action = { readonly kind: 'delete' } | MarkAction | RecordAction

export interface MarkAction {
  readonly kind: 'mark'
  /** `"deleted_at" = '…'::timestamptz`. A row that is marked must not match any more. */
  readonly set: string
}

/** Into a candidate set, with a fingerprint that shows whether a row has changed since. */
export interface RecordAction {
  readonly kind: 'record'
  readonly into: TableName
  /** Columns of the key. */
  readonly key: readonly string[]
}

export interface PurgeLeaf {
  readonly name: TableName
  readonly oid: string
  readonly walk: Walk
  /** Its size when the purge was planned. Rows in later blocks were written since. */
  readonly blocks: number
  /** Rows in a block at most, by the statistics; null where that cannot be told, or a row may cost or do anything: triggers fire. */
  readonly rowsPerBlock: number | null
  /** Rows that match, as the planner believes. */
  readonly estimatedRows: number
  /** It has no statistics, so that is a guess from its size. */
  readonly notAnalyzed?: true
  /** Where Citus stores its rows; without it they are in the table itself. */
  readonly stored?: Stored
  /** Of what Citus stores, only rows that are on this list, and still hold what was archived. */
  readonly archived?: StoredList
}

/** The archived rows of one leaf, on a list that Citus stores like the table. */
export interface StoredList {
  readonly list: TableName
  /** The leaf's number there. */
  readonly leaf: number
  readonly key: readonly KeyWalkColumn[]
}

/**
 * How Citus stores the rows of a leaf: as `shards`, each with blocks of its own, of which one statement reaches those of
 * the same numbers, on all nodes at once; or as `copies`, the same rows on each node, at addresses that differ.
 */
export type Stored = 'shards' | 'copies'

/** How the rows are found: block after block, or along an index. */
export type Walk = BlockWalk | KeyWalk

export interface BlockWalk {
  readonly kind: 'blocks'
  /** Only rows that are on this list, and still are what was listed. */
  readonly listed?: VersionList
}

/** The row versions of one leaf on a list. */
export interface VersionList {
  readonly list: TableName
  /** The leaf's number there. */
  readonly leaf: number
  readonly key: readonly KeyWalkColumn[]
}

export interface KeyWalk {
  readonly kind: 'key'
  readonly index: string
  readonly columns: readonly KeyWalkColumn[]
  /** Equal keys need the address as well to be told apart. */
  readonly unique: boolean
  /** The keys are those of a candidate set, and decide alone which rows are meant. */
  readonly among?: SetPart
}

/** The rows of one leaf in a candidate set. */
export interface SetPart {
  readonly set: TableName
  /** The leaf's number there. */
  readonly leaf: number
  /** An entry is deleted with its row, so those left are of rows that were not. */
  readonly consumed?: true
  /** The condition must be true as well: it may depend on other rows. */
  readonly conditional?: true
}

export interface KeyWalkColumn {
  readonly name: string
  /** Its type, qualified and quoted, without a length: casting to `character` would keep one letter. */
  readonly type: string
  /** By what its values are compared, and ordered. */
  readonly operators?: Ordering | undefined
}

/** What is deleted with the rows of a batch, and what keeps rows from being deleted. */
export interface Dependents {
  /** Columns that `victim`, the rows of a batch, and `gone`, those deleted, have to show the rest. */
  readonly columns: readonly string[]
  /** Why matching rows must be kept. */
  readonly reasons: readonly StayReason[]
  /** Parts of the statement that exclude rows from `victim`, by name; the last of them is what is deleted. */
  readonly narrowing: readonly NamedPart[]
  /** Deleted in the same statement, each with the rows of `gone` or of one before it. */
  readonly companions: readonly Companion[]
  /** True if companions were not deleted as selected, so that the batch must not commit; null where that cannot happen. */
  readonly disturbed: string | null
  /** Dependent rows that may be deleted before the row they reference, if they are too many for one statement. */
  readonly ahead: readonly Ahead[]
  /** True if the rows of a batch have that many dependent rows; null where none can be deleted ahead. */
  readonly crowded: string | null
  /** A table around it has no index for its foreign key: each batch reads it as a whole, and for each row PostgreSQL does. */
  readonly scans?: true
  /** Tables in which PostgreSQL counts what a batch changes; null where that is the table itself alone, for nothing refers to it. */
  readonly watched: Watched | null
  /** Where Citus stores the table: deleted by statements of their own, before the rows that they refer to. */
  readonly stored?: readonly StoredDependent[]
}

/** Rows of a table that refer to those of the purged one, by one of the ways there are. */
export interface StoredDependent {
  readonly table: TableName
  /** From the table upwards: the foreign keys, the last of which points at the purged table. */
  readonly way: readonly { readonly pairs: readonly ColumnPair[]; readonly to: TableName }[]
}

export interface StayReason {
  /** Follows `2 rows`. */
  readonly what: string
  /** True of a row `t` that is kept for it. */
  readonly condition: string
  /** It may be true of a row only until others are deleted, so a batch does not check it; the final report does. */
  readonly atTheEnd: boolean
  /** It is found out once before rows go ahead of the row, not for each batch of them: it looks at all. */
  readonly beforehand?: true
}

export interface NamedPart {
  readonly name: string
  readonly statement: string
}

export interface Companion extends NamedPart {
  /** Whose rows it deletes; null where it only chooses. */
  readonly table: TableName | null
}

/** Rows of another table that reference a single row, and are deleted ahead of it, slice by slice. */
export interface Ahead {
  readonly table: TableName
  /** The table as a statement deletes from it. */
  readonly rows: string
  /** Parts that give the row they refer to, where that is not the one of the table itself. */
  readonly above: readonly NamedPart[]
  /** All of them, with `columns`; a limit may follow. */
  readonly those: string
  readonly columns: readonly string[]
  /** True of a row `c` that may go: it holds what was archived; null where nothing was. */
  readonly unchanged: string | null
  /** As of the dependents of the table itself, for a slice that is called `those` and `gone`. */
  readonly crowded: string | null
  readonly companions: readonly Companion[]
  readonly disturbed: string | null
  /** What is deleted ahead of the first of them, if that alone has too many dependent rows. */
  readonly further: readonly Ahead[]
}

/** Whose changes are counted. */
export interface Watched {
  readonly root: WatchedTable
  /** The tables around it. */
  readonly others: readonly WatchedTable[]
  /** No row may go but those that a batch has selected and counted itself: others are in no archive. */
  readonly exact?: true
}

export interface WatchedTable {
  readonly oid: string
  readonly name: TableName
  /** No row of it may be touched. */
  readonly protected: boolean
}

export const ALONE: Dependents = {
  columns: [],
  reasons: [],
  narrowing: [],
  companions: [],
  disturbed: null,
  ahead: [],
  crowded: null,
  watched: null,
}

/** True of a row `t` that matches and has to stay as far as a batch can tell; null where no row has. */
export function heldCondition({ reasons }: Dependents): string | null {
  return anyOf(reasons.filter(({ atTheEnd }) => !atTheEnd))
}

/** The same as far as a batch looks that goes ahead of the row. */
export function heldAhead({ reasons }: Dependents): string | null {
  return anyOf(reasons.filter(({ atTheEnd, beforehand }) => !atTheEnd && beforehand !== true))
}

function anyOf(reasons: readonly StayReason[]): string | null {
  return reasons.length === 0 ? null : reasons.map(({ condition }) => `(${condition})`).join(' or ')
}
