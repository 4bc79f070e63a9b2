import type { ConditionSettings } from '../../sql/condition-settings.ts'
import type { TableName } from '../../sql/names.ts'
import type { ArchiveWork } from '../archive/work.ts'
import type { CopyWork, Jobs, Transport } from '../copy/work.ts'
import type { ArchivedKeys, ArchiveSetWork } from '../purge/archive/work.ts'
import type { ArchivedObject, Encoding } from '../archive/receipt.ts'
import type { Objection } from './objection.ts'
import type { PurgeWork } from '../purge/work.ts'

export type { Objection }

// The interface between planning and execution: what will be done, as data that
// can be printed, stored in the journal, compared, and then executed.

/** What other sessions cannot do with a table while we hold a lock on it. */
export type Blocked = 'nothing' | 'writes' | 'reads and writes'

/** One lock that a step takes. */
export interface Lock {
  readonly table: TableName
  readonly mode:
    | 'ACCESS SHARE'
    | 'ROW SHARE'
    | 'ROW EXCLUSIVE'
    | 'SHARE UPDATE EXCLUSIVE'
    | 'SHARE ROW EXCLUSIVE'
    | 'ACCESS EXCLUSIVE'
  readonly blocks: Blocked
  /** `milliseconds`: requested with a short lock_timeout, retried. `all along`: held while the step runs, so it blocks nothing. */
  readonly held: 'milliseconds' | 'all along'
}

interface Described {
  /** Identifies the step in the journal; unique within its plan. */
  readonly key: string
  readonly title: string
  readonly because: string
  readonly locks: readonly Lock[]
  /** The expected cost: `reads 921 MB, about 2 s`. */
  readonly cost: string
  /** Complete statements, without the semicolon. Together with begin and commit they are the script. */
  readonly statements: readonly string[]
}

/** A transaction that is rolled back: finds out what PostgreSQL would do, on an empty copy of the table. */
export interface DryRunStep extends Described {
  readonly kind: 'dry run'
  /** The copy that stands for the table. */
  readonly twin: TableName
}

/** `create index concurrently`: outside a transaction, so it looks for the invalid index an interrupted build leaves. */
export interface IndexStep extends Described {
  readonly kind: 'index'
  readonly index: TableName
}

/** `drop index concurrently if exists`: outside a transaction, and harmless to repeat. */
export interface DropIndexStep extends Described {
  readonly kind: 'drop index'
}

/** One transaction whose locks block no reads or writes, however long it runs. */
export interface OnlineStep extends Described {
  readonly kind: 'online'
}

/** Copies what is kept in chunks, each its own transaction. */
export interface CopyStep extends Described {
  readonly kind: 'copy'
  readonly work: CopyWork
  readonly transport: Transport | 'auto'
  readonly jobs: Jobs
}

/** Brings the rows named in the log to their current state, until the backlog is small. */
export interface ReconcileStep extends Described {
  readonly kind: 'reconcile'
  readonly work: CopyWork
  /** The first pass takes the whole log at once, before there are unique indexes to violate. */
  readonly pass: 'whole log at once' | 'until the log is short'
}

/** Compares both sides, except for rows named in the log, range by range of the key. */
export interface VerifyStep extends Described {
  readonly kind: 'verify'
  readonly work: CopyWork
  /** A condition of the rows that the target may not have alone; null: of all. */
  readonly shared: string | null
  readonly jobs: Jobs
}

/** Deletes rows in batches, each its own transaction; retries rows that were locked. */
export interface PurgeStep extends Described {
  readonly kind: 'purge'
  readonly work: PurgeWork
  /** What PostgreSQL's look-ups without an index take for each row, as measured; left out where there are none. */
  readonly lookUpMs?: number
}

/** Vacuums or analyses a table, unless another session is doing so. */
export interface VacuumStep extends Described {
  readonly kind: 'vacuum'
  readonly table: TableName
  /** Whether rows of other tables count as well: a partitioned table itself has none. */
  readonly whole: boolean
  /** The search path that its indexes' functions may count on. */
  readonly settings?: ConditionSettings
}

/** Counts the matching rows, range by range. */
export interface CheckStep extends Described {
  readonly kind: 'check'
  readonly work: PurgeWork
  /** What is left in the sets of an archived purge, that of the table itself first: its rows were not deleted. */
  readonly left?: { readonly work: PurgeWork; readonly sets: readonly ArchivedKeys[] }
}

/** Archives the rows of a set, and drops from it what has changed since it was recorded: when it is done, there is a receipt. */
export interface ArchiveSetStep extends Described {
  readonly kind: 'archive set'
  readonly work: ArchiveSetWork
}

/** Writes what was removed because of a receipt, and which rows were not. */
export interface RemovalStep extends Described {
  readonly kind: 'removal'
  /** The keys of the archived rows that were not deleted, in the order of the receipt. */
  readonly sets: readonly ArchivedKeys[]
  /** Under which keys become text: those of the archive. */
  readonly settings: ConditionSettings
  /** Of a run that ends before its time, perhaps before it has an archive, or deleted anything. */
  readonly abandoned?: true
}

/** A statement that cannot run in a transaction, takes no lock that blocks, and may be repeated. */
export interface AloneStep extends Described {
  readonly kind: 'alone'
}

/** One short transaction under locks that block others: retried with a short lock_timeout until it has all of them. */
export interface ShortLockStep extends Described {
  readonly kind: 'short lock'
  /** The table from which an autovacuum is cancelled first; null where none can conflict. */
  readonly quiet: TableName | null
  /** The statements that take the locks, in the order in which applications take them. */
  readonly acquire: readonly string[]
  /** How long each of its statements may take at most, where rows may be read while a whole table is locked. */
  readonly workTimeoutMs?: number
  /**
   * Of a table that Citus stores: its statements reach all nodes, one message each, and the time-outs of the locks, too. How
   * long a statement may take is `workTimeoutMs` alone then: a node creates or drops many tables for one.
   */
  readonly onAllNodes?: true
}

/**
 * `detach partition … concurrently`: outside a transaction. It waits for all transactions that have used the parent
 * and blocks none; interrupted there, it leaves the detach pending (docs/postgres-facts.md, Detaching).
 */
export interface DetachStep extends Described {
  readonly kind: 'detach'
  readonly table: TableName
  readonly partition: TableName
  readonly oid: string
  /** The statement that finishes an interrupted one. */
  readonly finalize: ShortLockStep
}

/** A short-lock step that swaps tables, and commits only if the catalogue shows that nothing was lost. */
export interface SwapStep extends Omit<ShortLockStep, 'kind'> {
  readonly kind: 'swap'
  readonly table: TableName
  /** Facts before (checked under the lock) and after (checked before the commit); see facts.ts. */
  readonly before: Facts
  readonly after: Facts
  /** Constraints and indexes made by Ebb, which are not among the table's facts. */
  readonly ours: readonly string[]
  /** Exactly the table's partitions: one added meanwhile would be dropped with its rows. */
  readonly partitions: readonly TableName[]
  /** Tables that have to be empty, checked under the lock. */
  readonly mustBeEmpty: readonly TableName[]
  /** A copy whose log is drained under the lock; null where no rows were copied. */
  readonly work: CopyWork | null
}

/** Stores rows elsewhere, as one snapshot has them, with a receipt. It changes nothing, so it can be repeated. */
export interface ArchiveStep extends Described {
  readonly kind: 'archive'
  readonly work: ArchiveWork
}

/**
 * Works on another server, through a session there: its statements are carried out there; without any, a partition is copied
 * there, and both sides are compared.
 */
export interface MoveStep extends Described {
  readonly kind: 'move'
  /** A foreign server, by its name here. */
  readonly server: string
}

/** Copies a partition into a columnar table: one transaction, and then statistics of it. */
export interface RewriteStep extends Described {
  readonly kind: 'rewrite'
  readonly partition: TableName
  readonly copied: TableName
  /** A query for `fingerprint`: before the copy, and when nobody can write to the partition any more. */
  readonly fingerprint: string
  /** After the commit. */
  readonly analyze: string
}

/** Puts the rows of archived objects, mostly one, back into a table: one transaction. */
export interface RestoreStep extends Described {
  readonly kind: 'restore'
  /** The address of the receipt. */
  readonly receipt: string
  readonly objects: readonly ArchivedObject[]
  readonly encoding: Encoding
  readonly table: TableName
  /** Under which the condition is read, and triggers fire. */
  readonly settings: ConditionSettings
  /** Leaves out the rows of an archived table that were kept, whose keys are its parameter, as JSON; null where all were removed. */
  readonly leaveOutKept: { readonly of: TableName; readonly statement: string } | null
  /** For each of its objects a query for its selected rows, of which PostgreSQL may know that there are none; null where it cannot. */
  readonly selectedOf: readonly (string | null)[]
  /** Whether the third of its statements overwrites rows; the last inserts. */
  readonly overwrites: boolean
  /** Counts the rows to be restored. */
  readonly selected: string
  /** Counts those that were not, and lists their keys; null without a primary key. */
  readonly conflicts: string | null
  /** The columns of that. */
  readonly keyColumns: readonly string[]
}

export type Step =
  | DryRunStep
  | IndexStep
  | DropIndexStep
  | CopyStep
  | ReconcileStep
  | VerifyStep
  | PurgeStep
  | VacuumStep
  | CheckStep
  | ArchiveSetStep
  | RemovalStep
  | AloneStep
  | OnlineStep
  | ShortLockStep
  | DetachStep
  | SwapStep
  | ArchiveStep
  | MoveStep
  | RewriteStep
  | RestoreStep

/** Steps that work in pieces, whose progress is recorded in the journal of a run. */
export type StepInPieces =
  CopyStep | VerifyStep | PurgeStep | VacuumStep | CheckStep | ArchiveSetStep | RemovalStep | RestoreStep

/** Steps that are done as a whole or repeated: they need no run. */
export type WholeStep = Exclude<Step, StepInPieces | ArchiveStep | MoveStep | RewriteStep>

/** The facts of a table, one line each: `index events_kind_idx` → `btree (kind)`. */
export type Facts = Readonly<Record<string, string>>

/** What happens to one dependent object of the table. */
export interface DependentObject {
  readonly name: string
  readonly outcome: 'carried' | 'kept' | 'rebuilt' | 'changed'
  readonly how: string
}

export interface Plan {
  readonly goal: string
  readonly table: TableName
  /** The basis of the plan, for people: why this key, where the history ends. */
  readonly evidence: readonly string[]
  readonly dependents: readonly DependentObject[]
  readonly objections: readonly Objection[]
  /** Not blocking. */
  readonly notes: readonly string[]
  readonly steps: readonly Step[]
}

/** The journal identifies steps by key; of two steps with the same key one would be skipped. */
export function assertDistinctKeys(steps: readonly Step[]): void {
  const keys = new Set(steps.map((step) => step.key))
  if (keys.size !== steps.length) throw new Error(`steps share a key: ${steps.map((step) => step.key).join(', ')}`)
}
