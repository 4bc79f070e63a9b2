import type { ColumnPair } from '../references/foreign-key.ts'
import type { TableName } from '../../sql/names.ts'
import type { Ordering } from '../../sql/operators.ts'
import type { ConstraintTrigger } from '../references/constraint-triggers.ts'

// A table with its dependent objects, as plain data. Definitions
// are PostgreSQL's own text, made with an empty search path, so every name in
// them is qualified and executing them again means the same thing.

/** One table at one moment. */
export interface TableModel {
  readonly oid: string
  readonly name: TableName
  readonly kind: RelationKind
  readonly persistence: 'permanent' | 'unlogged' | 'temporary'
  readonly owner: string
  readonly tablespace: string | null
  readonly accessMethod: string | null
  readonly typed: boolean
  /** The partitioned table it is a partition of. */
  readonly partitionOf: string | null
  /** Storage parameters, `toast.` ones included: `fillfactor=80`. */
  readonly options: readonly string[]
  readonly replicaIdentity: 'default' | 'nothing' | 'full' | 'index'
  readonly rowSecurity: RowSecurity
  readonly comment: string | null
  /** Rows as the planner believes, or null when the table was never analysed. */
  readonly estimatedRows: number | null
  readonly size: TableSize
  readonly partitionKey: string | null
  readonly grants: readonly Grant[]
  /** Roles that default privileges have something to say of (null is PUBLIC) when the owner, or the role connected, makes a table here. */
  readonly defaultGrantees: readonly (string | null)[]
  readonly columns: readonly Column[]
  /** By column: its type without a length, of a domain what it is made of. Takes every value that the column can take. */
  readonly baseTypes: Readonly<Record<string, string>>
  readonly sequences: readonly OwnedSequence[]
  readonly constraints: readonly Constraint[]
  readonly indexes: readonly Index[]
  readonly triggers: readonly Trigger[]
  /** Of PostgreSQL's own triggers those that are not in their ordinary state. Older versions have stored plans without. */
  readonly constraintTriggers?: readonly ConstraintTrigger[]
  readonly policies: readonly Policy[]
  readonly rules: readonly Rule[]
  readonly statistics: readonly ExtendedStatistics[]
  readonly publications: readonly Publication[]
  /** Publications of all tables but some, this one among them (from 19 on). */
  readonly exceptedFrom: readonly string[]
  /** Of other tables; one onto the table itself is among the constraints only. */
  readonly inboundForeignKeys: readonly InboundForeignKey[]
  readonly views: readonly View[]
  readonly functions: readonly SqlFunction[]
  /** Of other relations, what mentions the table. Older versions have stored plans without. */
  readonly otherRules?: readonly OtherRule[]
  readonly otherPolicies?: readonly OtherPolicy[]
  readonly otherTriggers?: readonly OtherTrigger[]
  /** Whatever else depends on the table or its row type, in PostgreSQL's words. */
  readonly otherDependents: readonly OtherDependent[]
  /** Checks and indexes over rows as a whole (`check (events is not null)`): `check sane`. */
  readonly wholeRows: readonly string[]
  /** Defaults, checks and indexes with the table itself as a constant (`'events'::regclass`): `default of column source`. */
  readonly ownNames?: readonly string[]
  /** What else uses the sequence of an identity column, in PostgreSQL's words. */
  readonly identityUsers: readonly string[]
  readonly inheritsFrom: readonly string[]
  readonly inheritedBy: readonly string[]
  readonly extension: string | null
  readonly securityLabels: number
  readonly subscriptions: readonly string[]
}

/** It may be forced upon the owner before it is enabled. */
export type RowSecurity = 'off' | 'on' | 'forced' | 'off, but forced'

export type RelationKind =
  | 'table'
  | 'partitioned table'
  | 'view'
  | 'materialized view'
  | 'foreign table'
  | 'sequence'
  | 'index'
  | 'composite type'
  | 'other'

/** In bytes. */
export interface TableSize {
  readonly heap: number
  readonly indexes: number
  readonly toast: number
}

export interface Grant {
  /** Null for a privilege on the whole table. */
  readonly column: string | null
  readonly privilege: string
  readonly grantee: string | null
  readonly grantor: string
  readonly grantable: boolean
}

export interface Column {
  readonly name: string
  /** As PostgreSQL writes it in a definition: in quotes only where it must be. */
  readonly quoted: string
  readonly type: string
  /** No row holds null: a NOT NULL that is NOT VALID (18 and later) does not say so. */
  readonly notNull: boolean
  readonly default: string | null
  readonly generated: boolean
  readonly identity: 'always' | 'by default' | null
  readonly collation: string | null
  readonly storage: string
  readonly compression: string
  readonly statisticsTarget: number | null
  readonly options: readonly string[]
  readonly comment: string | null
}

/** A sequence that belongs to a column: `serial` or identity. */
export interface OwnedSequence {
  readonly name: TableName
  readonly column: string
  readonly identity: boolean
  readonly type: string
  readonly start: string
  readonly increment: string
  readonly min: string
  readonly max: string
  readonly cache: string
  readonly cycle: boolean
  readonly comment: string | null
  readonly grants: readonly Grant[]
  readonly defaultGrantees: readonly (string | null)[]
  /** Possible from 15 on; before, null. Older versions have stored plans without. */
  readonly unlogged?: boolean | null
}

export type ConstraintType = 'primary key' | 'unique' | 'check' | 'foreign key' | 'exclusion' | 'not null' | 'trigger'

export interface Constraint {
  readonly name: string
  readonly type: ConstraintType
  readonly definition: string
  readonly columns: readonly string[]
  readonly included: readonly string[]
  readonly deferrable: boolean
  readonly deferred: boolean
  readonly validated: boolean
  readonly noInherit: boolean
  /** Of a foreign key: the table it points to. */
  readonly references: TableName | null
  /** Of a foreign key: its columns with those they refer to. */
  readonly pairs: readonly ColumnPair[] | null
  readonly ontoPartitioned: boolean
  readonly comment: string | null
}

export interface Index {
  readonly oid: string
  readonly name: string
  /** `CREATE INDEX … ON …`, complete. */
  readonly definition: string
  /** What follows the table in the definition: `USING btree (kind)`. */
  readonly tail: string
  readonly method: string
  /** Columns in order; null stands for an expression. */
  readonly columns: readonly (string | null)[]
  readonly included: readonly string[]
  /** Of a btree: by what each column is compared. */
  readonly operators: readonly Ordering[]
  readonly unique: boolean
  /**
   * Rows exclude each other by it: EXCLUDE, or WITHOUT OVERLAPS. PostgreSQL takes no such index for the part of another when it
   * attaches a table. Older versions have stored plans without.
   */
  readonly excludes?: boolean
  readonly primary: boolean
  readonly partial: boolean
  readonly valid: boolean
  readonly clustered: boolean
  readonly replicaIdentity: boolean
  /** The constraint that owns it, if one does. */
  readonly constraint: string | null
  readonly tablespace: string | null
  /** Storage parameters: `fillfactor=70`. */
  readonly options: readonly string[]
  /** Statistics targets of expressions, by column number. */
  readonly statisticsTargets: readonly { readonly column: number; readonly target: number }[]
  readonly comment: string | null
  readonly bytes: number
  /** What it goes with when that is dropped (`depends on extension`). Older versions have stored plans without. */
  readonly extensions?: readonly string[]
}

export interface Trigger {
  readonly name: string
  readonly definition: string
  readonly enabled: 'origin' | 'disabled' | 'replica' | 'always'
  readonly perRow: boolean
  readonly before: boolean
  readonly transitionTables: boolean
  readonly comment: string | null
  /** What it goes with when that is dropped (`depends on extension`). Older versions have stored plans without. */
  readonly extensions?: readonly string[]
}

export interface Policy {
  readonly name: string
  readonly permissive: boolean
  readonly command: string
  readonly roles: readonly (string | null)[]
  readonly using: string | null
  readonly check: string | null
  readonly comment: string | null
}

export interface Rule {
  readonly name: string
  readonly definition: string
  readonly enabled: 'origin' | 'disabled' | 'replica' | 'always'
  readonly comment: string | null
}

export interface ExtendedStatistics {
  readonly name: TableName
  readonly definition: string
  readonly owner: string
  readonly target: number | null
  readonly comment: string | null
}

export interface Publication {
  readonly name: string
  readonly owner: string
  readonly covers: 'table' | 'schema' | 'all tables'
  readonly viaRoot: boolean
  readonly columns: readonly string[] | null
  readonly filter: string | null
}

export interface InboundForeignKey {
  readonly table: TableName
  readonly tableKind: RelationKind
  readonly tableOwner: string
  readonly name: string
  readonly definition: string
  readonly pairs: readonly ColumnPair[]
  readonly validated: boolean
  readonly comment: string | null
}

export interface View {
  readonly name: TableName
  readonly owner: string
  readonly options: readonly string[]
  readonly definition: string
  /** It mentions whole rows (`select e from events e`), so its column types would change. */
  readonly usesRowType: boolean
}

/** A function with an SQL-standard body (`begin atomic`), which is bound to the table by identity and not by name. */
export interface SqlFunction {
  readonly signature: string
  readonly owner: string
  readonly definition: string
  /** What it goes with when that is dropped (`depends on extension`). Older versions have stored plans without. */
  readonly extensions?: readonly string[]
}

/** Part of another relation that has to be created again when a table that it mentions is replaced. */
interface OfAnother {
  readonly of: TableName
  readonly ofKind: RelationKind
  readonly owner: string
}

export interface OtherRule extends Rule, OfAnother {}

export interface OtherPolicy extends Policy, OfAnother {}

/** `create constraint trigger … on another from this`. */
export interface OtherTrigger extends Trigger, OfAnother {}

export interface OtherDependent {
  readonly description: string
  /** Its name, where it is one. Older versions have stored plans without. */
  readonly materializedView?: TableName | null
  readonly because: 'mentions the table' | 'uses its row type'
}
