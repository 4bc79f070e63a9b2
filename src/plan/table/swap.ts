import type { OwnedSequence, TableModel } from '../../catalog/table/table-model.ts'
import { display, distinctNames, freeCompanion, quoted, sameName, type TableName } from '../../sql/names.ts'
import { ident, raw, sql, type Sql } from '../../sql/sql.ts'
import * as definitions from './definitions.ts'
import { constraintFact, factsOf } from './facts.ts'
import { attach, createLeaf, leafShape } from './leaf.ts'
import { exclusive, lockExclusively } from '../language/locks.ts'
import type { NewPrimaryKey } from './primary-key.ts'
import { grants, ownership } from './privileges.ts'
import type { Facts, Lock, SwapStep } from '../language/step.ts'

// The swap: in one short transaction the table steps aside, becomes the history
// partition of a new parent, and the parent takes over its name and everything
// that hung on it. What always holds:
//
//   - Nothing is scanned, built or validated: the bound has been proven by a
//     validated CHECK, each index of the parent has an equal one on the history.
//   - Whatever can conflict with the application is locked first, in the order
//     in which applications lock (see acquire), each for at most a short time-out; only then does the first change happen.
//   - The facts of the table are read under the lock and again before the
//     commit; any unplanned difference rolls everything back.
//   - Dying anywhere in here rolls everything back. After the commit the
//     journal, written in the same transaction, says that it has happened.

/** What the swap needs to know, all decided beforehand. */
export interface SwapRequest {
  readonly table: TableModel
  /** The new parent's partitioning: `range (created_at)`. */
  readonly key: string
  readonly history: TableName
  readonly cut: Sql
  /** The first partition of the runway; the rest is attached after the swap, where time does not matter. */
  readonly first: { readonly name: TableName; readonly to: Sql }
  /** The CHECK that proves the bound. */
  readonly guard: string
  /** A primary key that has to change because it lacks the key; its index has been built under this name. */
  readonly primaryKey: NewPrimaryKey | null
  readonly aside: AsideNames
  readonly role: string
}

/** The names that the former table's things take while they belong to the history partition. */
export interface AsideNames {
  readonly indexes: Readonly<Record<string, string>>
  readonly statistics: Readonly<Record<string, string>>
  readonly sequences: Readonly<Record<string, string>>
}

/** Chooses a free name for everything whose name the parent takes over. */
export function asideNames(
  table: TableModel,
  primaryKey: NewPrimaryKey | null,
  taken: ReadonlySet<string>,
  suffix = '_history',
): AsideNames {
  const used = new Set(taken)
  const aside = (name: string): string => {
    const free = freeCompanion(name, suffix, used)
    used.add(free)
    return free
  }
  const replaced = primaryKey?.constraint
  return {
    indexes: Object.fromEntries(
      table.indexes.filter(({ name }) => name !== replaced).map(({ name }) => [name, aside(name)]),
    ),
    statistics: Object.fromEntries(table.statistics.map(({ name }) => [name.name, aside(name.name)])),
    sequences: Object.fromEntries(
      table.sequences.filter(({ identity }) => identity).map(({ name }) => [name.name, aside(name.name)]),
    ),
  }
}

/** Plans the swap of a table into a partitioned one. */
export function planSwap(request: SwapRequest): SwapStep {
  const { table, history, guard, primaryKey, aside } = request
  const ours = [guard, ...(primaryKey === null ? [] : [primaryKey.index])]
  return {
    kind: 'swap',
    key: 'swap',
    title: `swap: ${display(table.name)} becomes a partitioned table, its rows partition ${display(history)}`,
    because: 'its bound is validated, so no row is read or moved',
    cost: 'milliseconds; the time under lock is measured and reported',
    table: table.name,
    quiet: table.name,
    locks: swapLocks(table),
    acquire: acquire(table, aside),
    statements: [
      ...stepAside(request),
      ...newParent(request),
      // Before attaching: 17 and later refuse a partition with an identity of its own.
      ...definitions.sequences(table, history, aside.sequences, request.role),
      ...dressParent(request),
      ...takeOver(request),
    ],
    before: factsOf({ ...table, sequences: sequencesUnderLock(table, aside) }, ours),
    after: factsAfter(request),
    ours,
    partitions: [],
    mustBeEmpty: [],
    work: null,
  }
}

/** What `acquire` takes. */
export function swapLocks(table: TableModel): Lock[] {
  return [
    ...[...table.views.map(({ name }) => name), table.name, ...neighbours(table)].map(exclusive),
    ...sequenceLocks(table),
  ]
}

/** What handing over the sequences locks: an identity's takes another name, another's owner changes. */
function sequenceLocks(table: TableModel): Lock[] {
  return table.sequences.map(({ name, identity }) => ({
    table: name,
    mode: identity ? 'ACCESS EXCLUSIVE' : 'SHARE ROW EXCLUSIVE',
    blocks: identity ? 'reads and writes' : 'writes',
    held: 'milliseconds',
  }))
}

/** Tables joined to this one by a foreign key in either direction. */
export function neighbours(table: TableModel): TableName[] {
  return [...referencing(table), ...referenced(table)]
}

function referencing(table: TableModel): TableName[] {
  return distinctNames(table.inboundForeignKeys.map((key) => key.table)).filter((name) => !sameName(name, table.name))
}

/** Those that do not point back as well. */
function referenced(table: TableModel): TableName[] {
  const before = new Set([table.name, ...referencing(table)].map(display))
  const names = table.constraints.flatMap(({ references }) => (references === null ? [] : [references]))
  return distinctNames(names).filter((name) => !before.has(display(name)))
}

/**
 * In the order in which an application's statements lock, for whoever came in
 * between would hold what we want and want what we hold: who reads through a
 * view locks the view and then the table; who writes to a referencing table locks
 * that and then, to check its key, the table; who inserts locks the table, then the
 * sequence, for the default, and then, to check, what the table references.
 *
 * `lock table` takes no sequence, and of a view it locks every table below, so
 * what has to be changed anyway, or a change to what already is, takes these locks.
 */
export function acquire(table: TableModel, aside: AsideNames): string[] {
  return [
    ...table.views.map(({ name, owner }) => sql`alter view ${quoted(name)} owner to ${ident(owner)}`.text),
    ...referencing(table).map(lockExclusively),
    lockExclusively(table.name),
    ...table.sequences.map(({ name, identity }) =>
      identity
        ? sql`alter sequence ${quoted(name)} rename to ${ident(aside.sequences[name.name] ?? '')}`.text
        : sql`alter sequence ${quoted(name)} owned by none`.text,
    ),
    ...referenced(table).map(lockExclusively),
  ]
}

/** The sequences as `acquire` leaves them: the facts before are read after it. */
export function sequencesUnderLock(table: TableModel, aside: AsideNames): OwnedSequence[] {
  return table.sequences
    .filter(({ identity }) => identity)
    .map((sequence) => ({ ...sequence, name: { ...sequence.name, name: aside.sequences[sequence.name.name] ?? '' } }))
}

function stepAside({ table, history, primaryKey, aside }: SwapRequest): string[] {
  const place = quoted(history)
  const schema = table.name.schema
  return [
    sql`alter table ${quoted(table.name)} rename to ${ident(history.name)}`.text,
    ...(primaryKey === null
      ? []
      : [
          sql`alter table ${place} drop constraint ${ident(primaryKey.constraint)}, add constraint ${ident(primaryKey.index)} primary key using index ${ident(primaryKey.index)}${deferral(table, primaryKey)}`
            .text,
          ...(isIdentity(table, primaryKey) ? definitions.replicaIdentity(history, table, primaryKey.index) : []),
        ]),
    // Renaming the index of a constraint renames the constraint.
    ...Object.entries(aside.indexes).map(
      ([name, other]) => sql`alter index ${ident(schema, name)} rename to ${ident(other)}`.text,
    ),
    ...table.statistics.map(
      ({ name }) => sql`alter statistics ${quoted(name)} rename to ${ident(aside.statistics[name.name] ?? '')}`.text,
    ),
    // A row trigger of the same name on parent and partition is refused; attaching gives the history the parent's.
    ...table.triggers.map(({ name }) => sql`drop trigger ${ident(name)} on ${place}`.text),
  ]
}

/** Of a key that the history loses, the one that takes its place must tell rows to subscribers. */
function isIdentity({ indexes }: TableModel, { constraint }: NewPrimaryKey): boolean {
  return indexes.some((index) => index.replicaIdentity && index.constraint === constraint)
}

// Or the rows of the history would be checked at once, where the application counts on the end of the transaction.
function deferral(table: TableModel, { constraint }: NewPrimaryKey): Sql {
  const { deferrable, deferred } = table.constraints.find(({ name }) => name === constraint) ?? {}
  return raw(`${deferrable ? ' deferrable' : ''}${deferred ? ' initially deferred' : ''}`)
}

function newParent({ table, history, key, guard, role }: SwapRequest): string[] {
  const place = quoted(table.name)
  const including = raw(
    ['defaults', 'constraints', 'generated', 'storage', 'compression', 'comments']
      .map((what) => `including ${what}`)
      .join(' '),
  )
  return [
    sql`create table ${place} (like ${quoted(history)} ${including}) partition by ${raw(key)}`.text,
    sql`alter table ${place} drop constraint ${ident(guard)}`.text,
    ...(table.tablespace === null ? [] : [sql`alter table ${place} set tablespace ${ident(table.tablespace)}`.text]),
    ...definitions.columnSettings(table),
    ...ownership(table.name, table.owner, role),
    ...grants('table', table.name, { owner: table.owner, role }, table.grants, table.defaultGrantees),
  ]
}

/** Indexes, keys and partitions: the empty partition first, so that it costs nothing, then the history. */
function dressParent(request: SwapRequest): string[] {
  const { table, history, cut, first, guard, primaryKey, role } = request
  return [
    ...keysAndIndexes(request),
    ...foreignKeys(table),
    ...createLeaf(leafShape(table, primaryKey), first.name, cut, first.to, role),
    attach(table.name, history, raw('minvalue'), cut),
    sql`alter table ${quoted(history)} drop constraint ${ident(guard)}`.text,
  ]
}

function keysAndIndexes({ table, primaryKey }: SwapRequest): string[] {
  const schema = table.name.schema
  return table.indexes.flatMap((index) => {
    if (index.constraint === null) return definitions.index(schema, index)
    const { name } = index
    const constraint = table.constraints.find((candidate) => candidate.name === index.constraint)
    if (constraint === undefined) throw new Error(`no constraint ${name}`)
    const definition = name === primaryKey?.constraint ? primaryKey.definition : constraint.definition
    return [
      ...definitions.constraint(table.name, { ...constraint, definition }),
      ...definitions.indexComment(schema, index),
    ]
  })
}

function foreignKeys(table: TableModel): string[] {
  return table.constraints
    .filter(({ type }) => type === 'foreign key')
    .flatMap((key) => definitions.constraint(table.name, key))
}

function takeOver({ table, history, first, role }: SwapRequest): string[] {
  const partitions = [table.name, history, first.name]
  return [
    ...table.triggers.flatMap((trigger) => definitions.trigger(table.name, trigger)),
    ...table.triggers.flatMap((trigger) =>
      definitions.triggerState(trigger.perRow ? partitions : [table.name], trigger),
    ),
    ...definitions.rowSecurity(table.name, table.rowSecurity),
    ...definitions.policies(table),
    ...definitions.rules(table),
    ...definitions.statistics(table, role),
    ...definitions.replicaIdentity(table.name, table, replicaIndex(table)),
    ...definitions.tableComment(table),
    ...definitions.publications(table.name, history, table.publications),
    ...definitions.views(table),
    ...definitions.functions(table),
    ...table.inboundForeignKeys.flatMap((key) => definitions.repointForeignKey(key)),
  ]
}

function replicaIndex(table: TableModel): string | null {
  return table.indexes.find(({ replicaIdentity }) => replicaIdentity)?.name ?? null
}

/** The facts that must hold before the commit: those of the table, but for what the plan changes. */
function factsAfter({ table, primaryKey }: SwapRequest): Facts {
  const facts = { ...factsOf(table) }
  if (primaryKey === null) return facts
  const constraint = table.constraints.find(({ name }) => name === primaryKey.constraint)
  if (constraint === undefined) throw new Error(`no primary key ${primaryKey.constraint}`)
  const [name, text] = constraintFact({ ...constraint, definition: primaryKey.definition })
  return { ...facts, [name]: text }
}
