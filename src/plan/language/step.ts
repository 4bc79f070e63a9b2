import type { ConditionSettings } from '../../sql/condition-settings.ts'
import type { TableName } from '../../sql/names.ts'
import type { CopyWork, Transport } from '../copy/work.ts'
import type { PurgeWork } from '../purge/work.ts'

// The language between deciding and doing: what will be done, as data that can
// be printed, stored in the journal, compared, and only then carried out.

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
  /** `milliseconds`: asked for with a short time-out, retried. `all along`: held while the step runs, so it blocks nothing. */
  readonly held: 'milliseconds' | 'all along'
}

interface Described {
  /** Names the step in the journal; unique within its plan. */
  readonly key: string
  readonly title: string
  readonly because: string
  readonly locks: readonly Lock[]
  /** What to expect: `reads 921 MB, about 2 s`. */
  readonly cost: string
  /** Complete statements, without the semicolon. Together with begin and commit they are the script. */
  readonly statements: readonly string[]
}

/** A transaction that is rolled back: finds out what PostgreSQL would do, on an empty copy. */
export interface DryRunStep extends Described {
  readonly kind: 'dry run'
  /** The copy that stands for the table. */
  readonly twin: TableName
}

/** `create index concurrently`: outside a transaction, so what is left of an interrupted one is looked for. */
export interface IndexStep extends Described {
  readonly kind: 'index'
  readonly index: TableName
}

/** `drop index concurrently if exists`: outside a transaction, and harmless to repeat. */
export interface DropIndexStep extends Described {
  readonly kind: 'drop index'
}

/** One transaction that takes only locks which block nobody, however long it runs. */
export interface OnlineStep extends Described {
  readonly kind: 'online'
}

/** Copies what is kept in chunks, each its own transaction. */
export interface CopyStep extends Described {
  readonly kind: 'copy'
  readonly work: CopyWork
  readonly transport: Transport | 'auto'
  readonly jobs: number
}

/** Sets what the log names to its present state, until little of the log is left. */
export interface ReconcileStep extends Described {
  readonly kind: 'reconcile'
  readonly work: CopyWork
  /** The first pass takes the whole log at once, before there are unique indexes to offend. */
  readonly pass: 'whole log at once' | 'until the log is short'
}

/** Compares both sides, but for the rows that the log names, range by range of the key. */
export interface VerifyStep extends Described {
  readonly kind: 'verify'
  readonly work: CopyWork
  /** A condition of the rows that the target may not have alone; null: of all. */
  readonly shared: string | null
}

/** Deletes rows in batches, each its own transaction; comes back for those that were locked. */
export interface PurgeStep extends Described {
  readonly kind: 'purge'
  readonly work: PurgeWork
}

/** Vacuums or analyses a table, unless somebody else is at it. */
export interface VacuumStep extends Described {
  readonly kind: 'vacuum'
  readonly table: TableName
  /** Whether rows of other tables count as well: a partitioned table has none itself. */
  readonly whole: boolean
  /** The search path that its indexes' functions may count on. */
  readonly settings?: ConditionSettings
}

/** Counts the rows that match, a piece at a time. */
export interface CheckStep extends Described {
  readonly kind: 'check'
  readonly work: PurgeWork
}

/** A statement that cannot run in a transaction, takes no lock that blocks, and may be repeated. */
export interface AloneStep extends Described {
  readonly kind: 'alone'
}

/** One short transaction under locks that block others: tried with short time-outs until all are had at once. */
export interface ShortLockStep extends Described {
  readonly kind: 'short lock'
  /** The table an autovacuum is asked to leave first; null where none can be in the way. */
  readonly quiet: TableName | null
  /** The statements that take the locks, in the one order in which applications take them too. */
  readonly acquire: readonly string[]
}

/** A brief step that exchanges tables, and commits only when the catalogue says that nothing was lost. */
export interface SwapStep extends Omit<ShortLockStep, 'kind'> {
  readonly kind: 'swap'
  readonly table: TableName
  /** Facts before (checked under the lock) and after (checked before the commit); see facts.ts. */
  readonly before: Facts
  readonly after: Facts
  /** Constraints and indexes of our own making, which are none of the table's facts. */
  readonly ours: readonly string[]
  /** The table's partitions, no more and no less: one that came meanwhile would be dropped with its rows. */
  readonly partitions: readonly TableName[]
  /** Tables without which nothing would be lost: looked into under the lock. */
  readonly mustBeEmpty: readonly TableName[]
  /** A copy whose log is drained under the lock; null where nothing was copied. */
  readonly work: CopyWork | null
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
  | AloneStep
  | OnlineStep
  | ShortLockStep
  | SwapStep

/** What is true of a table, one line each: `index events_kind_idx` → `btree (kind)`. */
export type Facts = Readonly<Record<string, string>>

/** A reason not to start, with the way out. Some can be accepted by name (`--accept <code>`). */
export interface Objection {
  readonly code: string
  readonly what: string
  readonly fix: string
  readonly acceptable: boolean
}

/** What happens to one thing that hangs on the table. */
export interface DependentObject {
  readonly name: string
  readonly outcome: 'carried' | 'kept' | 'rebuilt' | 'changed'
  readonly how: string
}

export interface Plan {
  readonly goal: string
  readonly table: TableName
  /** What the plan rests on, for people: why this key, where the cut falls. */
  readonly evidence: readonly string[]
  readonly dependents: readonly DependentObject[]
  readonly objections: readonly Objection[]
  /** Not in the way, but worth knowing. */
  readonly notes: readonly string[]
  readonly steps: readonly Step[]
}

/** The steps' keys are what the journal remembers; two alike would make one of them vanish. */
export function assertDistinctKeys(steps: readonly Step[]): void {
  const keys = new Set(steps.map((step) => step.key))
  if (keys.size !== steps.length) throw new Error(`steps share a key: ${steps.map((step) => step.key).join(', ')}`)
}
