import type { TableModel } from '../../catalog/table/table-model.ts'
import { toText, type KeyKind, type Position } from '../../grid/key.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { ident, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import * as definitions from './definitions.ts'
import { ownersAlone, ownership } from './privileges.ts'

/** What a new partition needs to know of its siblings. */
export interface LeafShape {
  readonly parent: TableName
  readonly owner: string
  readonly tablespace: string | null
  /** Storage parameters; partitioned tables have none, so they are the newest sibling's. */
  readonly options: readonly string[]
  readonly rowSecurity: TableModel['rowSecurity']
  readonly replicaIdentity: TableModel['replicaIdentity']
  readonly defaultGrantees: readonly (string | null)[]
  /** Triggers that are not in their ordinary state. */
  readonly triggers: readonly {
    readonly name: string
    readonly enabled: 'origin' | 'disabled' | 'replica' | 'always'
  }[]
}

/**
 * Creates an empty partition on its own and attaches it: `create table …
 * partition of` would lock the parent against readers and writers, while
 * `attach partition` lets both pass (docs/postgres-facts.md, Attaching).
 *
 * Nobody but the owner can reach the rows past the parent: default privileges
 * are revoked, and row-level security is on where the parent has it.
 */
export function createLeaf(shape: LeafShape, leaf: TableName, from: Sql, to: Sql, role: string): string[] {
  const place = quoted(leaf)
  const tablespace = shape.tablespace === null ? raw('') : sql` tablespace ${ident(shape.tablespace)}`
  return [
    // Identity belongs to the parent alone: 17 and later refuse a partition that brings its own.
    sql`create table ${place} (like ${quoted(shape.parent)} including all excluding identity)${tablespace}`.text,
    ...(shape.options.length === 0 ? [] : [sql`alter table ${place} set (${raw(shape.options.join(', '))})`.text]),
    ...ownersAlone(leaf, role, shape.defaultGrantees),
    ...definitions.rowSecurity(leaf, shape.rowSecurity === 'off' ? 'off' : 'on'),
    ...definitions.replicaIdentity(leaf, shape, null),
    ...ownership(leaf, shape.owner, role),
    attach(shape.parent, leaf, from, to),
    ...shape.triggers.flatMap((trigger) => definitions.triggerState([leaf], trigger)),
  ]
}

export function attach(parent: TableName, leaf: TableName, from: Sql, to: Sql): string {
  return sql`alter table ${quoted(parent)} attach partition ${quoted(leaf)} for values from (${from}) to (${to})`.text
}

/** A bound as DDL wants it. */
export function boundLiteral(kind: KeyKind, position: Position | null, end: 'from' | 'to'): Sql {
  if (position === null) return raw(end === 'from' ? 'minvalue' : 'maxvalue')
  return literal(toText(kind, position))
}
