import type { Interval } from '../../grid/interval.ts'
import type { Position } from '../../grid/key.ts'
import type { Retire } from './request.ts'
import type { TableName } from '../../sql/names.ts'

/** A partition being retired. */
export interface RetirementEntry {
  readonly oid: string
  readonly table: TableName
  readonly partition: TableName
  /** `truncate`: it is archived first, and attached again. `move`, `columnar`: it stays attached until another table replaces it. */
  readonly method: Retire
  /** As PostgreSQL printed them while it was attached: a detached table has no bounds. */
  readonly bounds: string
  readonly bytes: number
  readonly estimatedRows: number | null
  /** How long it stays as a table of its own before it is dropped; null: it does not. */
  readonly grace: Interval | null
}

/** The state of a partition that a rotation has started to retire. */
export interface BegunRetirement extends RetirementEntry {
  /** `renamed`: it is detached, and has another name by now, or is in another schema. */
  readonly state: 'attached' | 'detach pending' | 'detached' | 'renamed' | 'gone'
  /** Its present name. */
  readonly called: TableName
  /** Whether it has partitions of its own. */
  readonly divided: boolean
  /** Rewritten in columns: another table has taken its name and place. */
  readonly replaced: boolean
  /** The table that it was being copied into, which has replaced nothing; null where there is none. */
  readonly copy: { readonly oid: string; readonly name: TableName } | null
  /** The server that a copy of it may be on, known by one of these tokens in its comment; null where it was not to be moved. */
  readonly sent?: { readonly server: string | null; readonly tokens: readonly string[] } | null
  /** As far as known. */
  readonly detachedAt: Date
  /** Whether writes to it are noticed. */
  readonly watched: boolean
  /** Whether it was written to since. */
  readonly written: boolean
  /** Whether a valid CHECK says what its bounds said: PostgreSQL adds one when it detaches a partition concurrently. */
  readonly provesBounds: boolean
  /** What would keep it from being dropped, in PostgreSQL's words. */
  readonly dependents: readonly string[]
  readonly foreignKeys: readonly { readonly name: string; readonly references: TableName }[]
}

/** The newest time in a partition; `never` if a row has none, or `infinity`, and so does not expire. */
export type Newest = Position | 'empty' | 'never'
