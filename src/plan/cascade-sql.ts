import type { GraphReference, GraphTable } from '../catalog/reference-graph.ts'
import { quoted } from '../sql/names.ts'
import { ident, join, raw, sql, type Sql } from '../sql/sql.ts'
import type { Branch, Cascade, Reason } from './cascade.ts'
import type { WalkedReference } from './reference-graph.ts'

// What a batch has to say about other tables. What always holds:
//
//   - A row of another table goes only together with the row it refers to: the
//     statements that delete children join the rows that their parents' statement
//     has returned, not those it was to delete. A child that was moved to another
//     parent while we waited for it stays, and so does what hangs on it.
//   - All parts of a statement see one snapshot, and constraints are checked at its
//     end. A row that comes to refer to one of ours after the snapshot is not seen;
//     then the constraint refuses the batch, which is tried again, or PostgreSQL's own
//     cascade takes the row, which cascade-tally.ts finds out.
//   - A row that is reached twice is deleted once and counted once: PostgreSQL
//     passes over what the same statement has deleted already.

/** One `name as (…)` of a WITH. */
export interface Part {
  readonly name: string
  readonly query: Sql
}

/** A part that deletes rows of one table. A table may have several, one for each way to it. */
export interface ChildDeletion extends Part {
  readonly table: GraphTable
}

/** The columns of the root that the rest joins by: the rows chosen, and those deleted, have to be returned with them. */
export function rootColumns(cascade: Cascade): readonly string[] {
  const { oid } = cascade.root
  const columns = cascade.walked.flatMap(({ reference, fate }) => [
    ...(reference.to === oid && (fate === 'followed' || fate === 'self')
      ? reference.pairs.map((pair) => pair.referred)
      : []),
    ...(fate === 'self' ? reference.pairs.map((pair) => pair.referring) : []),
  ])
  return [...new Set(columns)]
}

/** True for a row that has to stay for this reason. `row` is the name by which the statement knows rows of the root. */
export function isSetAside({ branches }: Reason, row: string): Sql {
  return join(
    branches.map((branch) => leadsOn(branch, row, 1)),
    ' or ',
  )
}

/** True for a row that another one of the root refers to. */
export function isReferredByOwn({ root }: Cascade, self: GraphReference, row: string): Sql {
  const other = sql`(c.tableoid, c.ctid) <> (${raw(row)}.tableoid, ${raw(row)}.ctid)`
  return sql`exists (select from ${referringRows(self, root, 'c', row)} and ${other})`
}

function leadsOn({ reference, from, onwards }: Branch, parent: string, depth: number): Sql {
  const child = `r${depth}`
  const further = onwards.map((branch) => leadsOn(branch, child, depth + 1))
  const condition = further.length === 0 ? raw('') : sql` and (${join(further, ' or ')})`
  return sql`exists (select from ${referringRows(reference, from, child, parent)}${condition})`
}

/**
 * The statements that delete what goes with rows of the root, parents first.
 *
 * @param gone the part of the WITH that deletes rows of the root and returns `rootColumns`
 */
export function childDeletions(cascade: Cascade, gone: string): readonly ChildDeletion[] {
  const followed = followedInOrder(cascade)
  const named = followed.map((one, position) => ({ ...one, name: `${gone}_${position + 1}` }))
  const sources = (table: GraphTable): string[] =>
    table.oid === cascade.root.oid ? [gone] : named.filter(({ from }) => from.oid === table.oid).map(({ name }) => name)

  return named.map(({ name, reference, from, to }) => {
    const parents = sources(to).map((source) => sql`select ${list(neededOf(reference))} from ${raw(source)}`)
    const returned = followed.filter((one) => one.to.oid === from.oid).flatMap((one) => neededOf(one.reference))
    return {
      name,
      table: from,
      query: sql`
    delete from ${rowsOf(from)} c using (${join(parents, ' union all ')}) p
    where ${refers(reference, 'c', 'p')}
    returning ${returned.length === 0 ? raw('true') : list([...new Set(returned)], 'c')}`,
    }
  })
}

function followedInOrder({ emptied, walked }: Cascade): WalkedReference[] {
  return emptied.flatMap((parent) => walked.filter(({ to, fate }) => fate === 'followed' && to.oid === parent.oid))
}

/**
 * Leaves out of the rows chosen those that rows which stay refer to, directly or
 * through chosen ones; null where the root does not refer to itself. Needs `with recursive`.
 *
 * @param chosen the part of the WITH that chooses and locks; gives `rootColumns`, and where the row is as `ebb_table`, `ebb_at`
 * @param going what the part without those rows is to be called
 */
export function withoutReferenced(cascade: Cascade, chosen: string, going: string): readonly Part[] | null {
  const selves = cascade.walked.filter(({ fate }) => fate === 'self').map(({ reference }) => reference)
  if (selves.length === 0) return null
  const stays = `${going}_not`
  const fromOutside = selves.map(
    (reference) => sql`exists (select from ${rowsOf(cascade.root)} c where ${refers(reference, 'c', 'v')}
      and not exists (select from ${raw(chosen)} w where w.ebb_table = c.tableoid and w.ebb_at = c.ctid))`,
  )
  const fromStaying = selves.map((reference) => refers(reference, 's', 'v'))
  return [
    {
      name: stays,
      query: sql`
    select v.* from ${raw(chosen)} v where ${join(fromOutside, ' or ')}
    union
    select v.* from ${raw(stays)} s join ${raw(chosen)} v on ${join(fromStaying, ' or ')}`,
    },
    {
      name: going,
      query: sql`
    select v.* from ${raw(chosen)} v
    where not exists (select from ${raw(stays)} s where s.ebb_table = v.ebb_table and s.ebb_at = v.ebb_at)`,
    },
  ]
}

/** A row of the table pointed to, the first, second, … that comes, with the columns that are referred to. */
export function oneRowOf(reference: GraphReference, to: GraphTable, position: number): Sql {
  return sql`select ${list(neededOf(reference))} from ${rowsOf(to)} limit 1 offset ${raw(String(position))}`
}

/** `child c where …`: the rows that refer to the row `parent`. */
export function referringRows(reference: GraphReference, from: GraphTable, child: string, parent: string): Sql {
  return sql`${rowsOf(from)} ${raw(child)} where ${refers(reference, child, parent)}`
}

/** The rows that the constraint itself looks at: a plain table's own, a partitioned one's all. */
function rowsOf({ name, partitioned }: GraphTable): Sql {
  return partitioned ? quoted(name) : sql`only ${quoted(name)}`
}

/** `child` refers to `parent`, compared as the constraint compares. A null refers to nothing. */
function refers({ pairs }: GraphReference, child: string, parent: string): Sql {
  return join(
    pairs.map(({ referring, referred, operator, collation }) => {
      const by = collation === null ? raw('') : raw(` collate ${collation}`)
      return sql`${ident(parent, referred)}${by} ${raw(operator)} ${ident(child, referring)}`
    }),
    ' and ',
  )
}

function neededOf({ pairs }: GraphReference): string[] {
  return pairs.map(({ referred }) => referred)
}

function list(columns: readonly string[], of?: string): Sql {
  return join(columns.map((column) => (of === undefined ? ident(column) : ident(of, column))))
}
