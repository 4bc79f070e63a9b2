import { createHash } from 'node:crypto'
import type { OwnPart } from '../../catalog/partitions/own-parts.ts'
import type { LeafIdentity } from '../../catalog/partitions/partitioned-table.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Grid } from '../../grid/grid.ts'
import { toText, type KeyKind, type Position } from '../../grid/key.ts'
import { partitionName } from '../../grid/partition-name.ts'
import { companion, LONGEST_NAME, quoted, type TableName } from '../../sql/names.ts'
import { ident, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import * as definitions from './definitions.ts'
import { partsAfter, partsBefore } from './own-parts.ts'
import type { NewPrimaryKey } from './primary-key.ts'
import { ownersAlone, ownership } from './privileges.ts'

/** What a new partition needs to know of its siblings. */
export interface LeafShape {
  readonly parent: TableName
  readonly owner: string
  readonly tablespace: string | null
  /** How its rows are stored; null is heap, too. */
  readonly accessMethod: string | null
  /** Storage parameters; partitioned tables have none, so they are the newest sibling's. */
  readonly options: readonly string[]
  readonly rowSecurity: TableModel['rowSecurity']
  readonly identity: LeafIdentity
  /** Rows exclude each other by an index of the parent: attaching the partition makes it, and would not take one that is there. */
  readonly excludes: boolean
  /** What siblings have by themselves. */
  readonly parts: readonly OwnPart[]
  readonly defaultGrantees: readonly (string | null)[]
  /** Triggers that are not in their ordinary state. */
  readonly triggers: readonly {
    readonly name: string
    readonly enabled: 'origin' | 'disabled' | 'replica' | 'always'
  }[]
}

/** What new partitions of a converted table are like. */
export function leafShape(table: TableModel, primaryKey: NewPrimaryKey | null): LeafShape {
  return {
    parent: table.name,
    owner: table.owner,
    tablespace: table.tablespace,
    accessMethod: table.accessMethod,
    options: table.options,
    rowSecurity: table.rowSecurity,
    identity: leafIdentity(table, primaryKey),
    excludes: table.indexes.some(({ excludes }) => excludes === true),
    parts: [],
    defaultGrantees: table.defaultGrantees,
    triggers: [], // set on every partition when the parent's triggers are made
  }
}

function leafIdentity(table: TableModel, primaryKey: NewPrimaryKey | null): LeafIdentity {
  if (table.replicaIdentity !== 'index') return table.replicaIdentity
  const index = table.indexes.find(({ replicaIdentity }) => replicaIdentity)
  if (index === undefined) return 'nothing' // it has been dropped
  const constraint = table.constraints.find(({ name }) => name === index.constraint)
  if (constraint === undefined) return { indexTail: index.tail, tablespace: index.tablespace }
  const definition = primaryKey?.constraint === constraint.name ? primaryKey.definition : constraint.definition
  return {
    constraint: definitions.withStorage(definition, constraint, index.options),
    tablespace: index.tablespace,
  }
}

/** Free names for partitions that begin at these positions, and for the indexes of their replica identities. */
export function leafNames(
  { schema, name }: TableName,
  grid: Grid,
  kind: KeyKind,
  starts: readonly Position[],
  taken: ReadonlySet<string>,
): TableName[] {
  const used = new Set(taken)
  const isUsed = { has: (leaf: string) => used.has(leaf) || used.has(identityIndex(leaf)) }
  return starts.map((start) => {
    const leaf = partitionName(name, grid, kind, start, isUsed)
    used.add(leaf)
    return { schema, name: leaf }
  })
}

/** Long names of partitions differ at their end, which is what makes way. */
function identityIndex(leaf: string): string {
  const whole = `${leaf}_identity`
  if (Buffer.byteLength(whole) <= LONGEST_NAME) return whole
  return companion(leaf, `_${createHash('sha256').update(leaf).digest('hex').slice(0, 8)}_identity`)
}

/** Gives a table its replica identity, with the index that it takes; the parent adopts that. */
export function identify(leaf: TableName, identity: LeafIdentity): string[] {
  if (typeof identity !== 'object') return definitions.replicaIdentity(leaf, { replicaIdentity: identity }, null)
  const index = identityIndex(leaf.name)
  const made =
    'constraint' in identity
      ? sql`alter table ${quoted(leaf)} add constraint ${ident(index)} ${raw(identity.constraint)}`.text
      : sql`create unique index ${ident(index)} on ${quoted(leaf)} ${raw(identity.indexTail)}`.text
  return [
    ...definitions.inTablespace(identity.tablespace, [made]),
    ...definitions.replicaIdentity(leaf, { replicaIdentity: 'index' }, index),
  ]
}

/**
 * Creates an empty partition on its own and attaches it: `create table …
 * partition of` would lock the parent against readers and writers, while
 * `attach partition` lets both pass (docs/postgres-facts.md, Attaching).
 *
 * Nobody but the owner can reach the rows past the parent: default privileges
 * are revoked, and row-level security is on where the parent has it.
 *
 * @param fill puts rows into it, before it has triggers
 */
export function createLeaf(
  shape: LeafShape,
  leaf: TableName,
  from: Sql,
  to: Sql,
  role: string,
  fill: readonly string[] = [],
): string[] {
  return createPartition(shape, leaf, between(from, to), role, fill)
}

/** Creates the DEFAULT partition. */
export function createDefault(shape: LeafShape, leaf: TableName, role: string): string[] {
  return createPartition(shape, leaf, DEFAULT, role, [])
}

/** A new partition and its own partitions. */
export interface TreeShape {
  /** `LIST (region)`. */
  readonly by: string
  readonly children: readonly { readonly name: TableName; readonly bounds: Sql; readonly shape: LeafShape }[]
}

/**
 * The same of a partition that is itself partitioned, with its partitions. Those are attached to it last: 17 and later
 * give identity columns to what is attached, and not to its partitions, and then refuse to detach it.
 */
export function createTree(
  shape: LeafShape,
  name: TableName,
  from: Sql,
  to: Sql,
  role: string,
  fill: readonly string[],
  { by, children }: TreeShape,
): string[] {
  const tablespace = shape.tablespace === null ? raw('') : sql` tablespace ${ident(shape.tablespace)}`
  return [
    sql`create table ${quoted(name)} (like ${quoted(shape.parent)} including all excluding identity${withoutIndexes(shape.excludes)}) partition by ${raw(by)}${tablespace}`
      .text,
    ...ownersAlone(name, role, shape.defaultGrantees),
    ...definitions.rowSecurity(name, definitions.isSecured(shape.rowSecurity) ? 'on' : 'off'),
    ...ownership(name, shape.owner, role),
    ...children.flatMap((child) => createPartition(child.shape, child.name, child.bounds, role, [])),
    ...fill,
    ...children.map((child) => sql`alter table ${quoted(name)} detach partition ${quoted(child.name)}`.text),
    attachAs(shape.parent, name, between(from, to)),
    ...children.map((child) => attachAs(name, child.name, child.bounds)),
    ...shape.triggers.flatMap((trigger) =>
      definitions.triggerState([name, ...children.map((child) => child.name)], trigger),
    ),
  ]
}

function createPartition(
  shape: LeafShape,
  leaf: TableName,
  bounds: Sql,
  role: string,
  fill: readonly string[],
): string[] {
  const place = quoted(leaf)
  const tablespace = shape.tablespace === null ? raw('') : sql` tablespace ${ident(shape.tablespace)}`
  // Ours are heap where the statement does not say, whatever the database has.
  const { accessMethod } = shape
  const using = accessMethod === null || accessMethod === 'heap' ? raw('') : sql` using ${ident(accessMethod)}`
  // Of a replica identity, one has to have a name that we know.
  const indexes = withoutIndexes(shape.excludes || typeof shape.identity === 'object')
  return [
    // Identity belongs to the parent alone: 17 and later refuse a partition that brings its own.
    sql`create table ${place} (like ${quoted(shape.parent)} including all excluding identity${indexes})${using}${tablespace}`
      .text,
    ...(shape.options.length === 0 ? [] : [sql`alter table ${place} set (${raw(shape.options.join(', '))})`.text]),
    ...ownersAlone(leaf, role, shape.defaultGrantees),
    ...definitions.rowSecurity(leaf, definitions.isSecured(shape.rowSecurity) ? 'on' : 'off'),
    ...identify(leaf, shape.identity),
    ...partsBefore(leaf, shape.parts),
    ...ownership(leaf, shape.owner, role),
    ...fill,
    attachAs(shape.parent, leaf, bounds),
    ...shape.triggers.flatMap((trigger) => definitions.triggerState([leaf], trigger)),
    ...partsAfter(leaf, shape.parts, role),
  ]
}

/** Attaching will make them. */
function withoutIndexes(yes: boolean): Sql {
  return raw(yes ? ' excluding indexes' : '')
}

export function attach(parent: TableName, leaf: TableName, from: Sql, to: Sql): string {
  return attachAs(parent, leaf, between(from, to))
}

export function attachDefault(parent: TableName, leaf: TableName): string {
  return attachAs(parent, leaf, DEFAULT)
}

function attachAs(parent: TableName, leaf: TableName, bounds: Sql): string {
  return sql`alter table ${quoted(parent)} attach partition ${quoted(leaf)} ${bounds}`.text
}

const DEFAULT = raw('default')

function between(from: Sql, to: Sql): Sql {
  return sql`for values from (${from}) to (${to})`
}

/** A bound as DDL wants it. */
export function boundLiteral(kind: KeyKind, position: Position | null, end: 'from' | 'to'): Sql {
  if (position === null) return raw(end === 'from' ? 'minvalue' : 'maxvalue')
  return literal(toText(kind, position))
}
