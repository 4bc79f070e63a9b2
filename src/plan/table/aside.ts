import type { OwnedSequence, TableModel } from '../../catalog/table/table-model.ts'
import { display, distinctNames, freeCompanion, quoted, sameName, type TableName } from '../../sql/names.ts'
import { ident, sql } from '../../sql/sql.ts'
import { exclusive, lockExclusively } from '../language/locks.ts'
import type { Lock, SwapStep } from '../language/step.ts'
import type { AsideNames } from './dependents.ts'
import { factsOf } from './facts.ts'

// How a table gives up its name to another: what its things are called from then on, and what is locked for it.

/** Chooses a free name for each of them, but for the index of a primary key that is replaced. */
export function asideNames(
  table: TableModel,
  replaced: string | null,
  taken: ReadonlySet<string>,
  suffix: string,
): AsideNames {
  const used = new Set(taken)
  const free = (names: readonly string[]) =>
    Object.fromEntries(
      names.map((name) => {
        const other = freeCompanion(name, suffix, used)
        used.add(other)
        return [name, other]
      }),
    )
  return {
    indexes: free(table.indexes.map(({ name }) => name).filter((name) => name !== replaced)),
    statistics: free(table.statistics.map(({ name }) => name.name)),
    sequences: free(table.sequences.filter(({ identity }) => identity).map(({ name }) => name.name)),
  }
}

/** What every exchange of names has in common; `ours` are things of Ebb's own on the table. */
export function swapOf(table: TableModel, aside: AsideNames, ours: readonly string[]) {
  return {
    kind: 'swap',
    cost: 'milliseconds; the time under lock is measured and reported',
    table: table.name,
    quiet: table.name,
    locks: swapLocks(table),
    acquire: acquire(table, aside),
    before: factsOf({ ...table, sequences: sequencesUnderLock(table, aside) }, ours),
    ours,
    partitions: [],
    mustBeEmpty: [],
    work: null,
  } satisfies Partial<SwapStep>
}

/** What `acquire` takes. */
function swapLocks(table: TableModel): Lock[] {
  return [
    ...[...viewsOf(table).map(({ name }) => name), table.name, ...neighbours(table), ...others(table)].map(exclusive),
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

/** Views that read the table, or have a rule that mentions it. */
function viewsOf({ views, otherRules = [] }: TableModel): { readonly name: TableName; readonly owner: string }[] {
  const ruled = otherRules.filter(({ ofKind }) => ofKind === 'view').map(({ of, owner }) => ({ name: of, owner }))
  return [...views, ...ruled.filter(({ name }) => !views.some((view) => sameName(view.name, name)))]
}

/** Tables with a rule, a policy or a trigger that mentions this one, and without a foreign key between them. */
function others(table: TableModel): TableName[] {
  const { otherRules = [], otherPolicies = [], otherTriggers = [] } = table
  const tables = [...otherRules, ...otherPolicies, ...otherTriggers].filter(({ ofKind }) => ofKind !== 'view')
  const joined = new Set(neighbours(table).map(display))
  return distinctNames(tables.map(({ of }) => of)).filter((name) => !joined.has(display(name)))
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
 * In the order in which an application's statements lock, which avoids
 * deadlocks with them: a query through a view locks the view and then the table; a
 * write to a referencing table locks that and then, to check its foreign key, the
 * table; an insert locks the table, then the sequence for the default, and then, to
 * check its foreign keys, the referenced tables. A rule or
 * policy of another table is read once that table has been locked.
 *
 * `lock table` takes no sequence, and of a view it locks every table below, so
 * what has to be changed anyway, or a change to what already is, takes these locks.
 */
function acquire(table: TableModel, aside: AsideNames): string[] {
  return [
    ...viewsOf(table).map(({ name, owner }) => sql`alter view ${quoted(name)} owner to ${ident(owner)}`.text),
    ...referencing(table).map(lockExclusively),
    ...others(table).map((name) => sql`lock table only ${quoted(name)} in access exclusive mode`.text),
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
function sequencesUnderLock(table: TableModel, aside: AsideNames): OwnedSequence[] {
  return table.sequences
    .filter(({ identity }) => identity)
    .map((sequence) => ({ ...sequence, name: { ...sequence.name, name: aside.sequences[sequence.name.name] ?? '' } }))
}
