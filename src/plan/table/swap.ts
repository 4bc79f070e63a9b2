import type { TableModel } from '../../catalog/table/table-model.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { ident, raw, sql, type Sql } from '../../sql/sql.ts'
import { swapOf } from './aside.ts'
import * as definitions from './definitions.ts'
import { makeAround, setAside, type AsideNames, type Leaving } from './dependents.ts'
import { factsWithKey } from './facts.ts'
import { attach, createLeaf, leafShape } from './leaf.ts'
import { usingIndex, type NewPrimaryKey } from './primary-key.ts'
import { ownership } from './privileges.ts'
import type { SwapStep } from '../language/step.ts'

// The swap: in one short transaction the table steps aside, becomes the history
// partition of a new parent, and the parent takes over its name and everything
// that depended on it. Invariants:
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

/** Plans the swap of a table into a partitioned one. */
export function planSwap(request: SwapRequest): SwapStep {
  const { table, history, guard, primaryKey, aside } = request
  const ours = [guard, ...(primaryKey === null ? [] : [primaryKey.index])]
  return {
    ...swapOf(table, aside, ours),
    key: 'swap',
    title: `swap: ${display(table.name)} becomes a partitioned table, its rows partition ${display(history)}`,
    because: 'its bound is validated, so no row is read or moved',
    statements: statementsOf(request),
    after: factsWithKey(table, primaryKey),
  }
}

function statementsOf(request: SwapRequest): string[] {
  const { table, history, cut, first, guard, primaryKey, aside, role } = request
  const from: Leaving = { table, place: history, names: aside, keepsForeignKeys: true }
  const dependents = makeAround({
    table,
    from,
    parts: [history, first.name],
    role,
    indexes: keysAndIndexes(request),
    foreignKeys: definitions.foreignKeysOf(table).flatMap((key) => definitions.constraint(table.name, key)),
  })
  return [
    sql`alter table ${quoted(table.name)} rename to ${ident(history.name)}`.text,
    ...setAside(from),
    ...(primaryKey === null ? [] : replaceKey(table, history, primaryKey)),
    ...newParent(request),
    ...dependents.before,
    // The empty partition first, so that it costs nothing.
    ...createLeaf(leafShape(table, primaryKey), first.name, cut, first.to, role),
    attach(table.name, history, raw('minvalue'), cut),
    sql`alter table ${quoted(history)} drop constraint ${ident(guard)}`.text,
    ...dependents.after,
  ]
}

function replaceKey(table: TableModel, history: TableName, { constraint, index }: NewPrimaryKey): string[] {
  const identifies = table.indexes.some((one) => one.replicaIdentity && one.constraint === constraint)
  return [
    sql`alter table ${quoted(history)} drop constraint ${ident(constraint)}, ${usingIndex(table, constraint, index, index)}`
      .text,
    // It is then by the new one that subscribers tell the history's rows.
    ...(identifies ? definitions.replicaIdentity(history, table, index) : []),
  ]
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
    return definitions.key(table.name, index, constraint, definition)
  })
}
