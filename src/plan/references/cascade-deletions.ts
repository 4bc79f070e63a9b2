import type { GraphReference, GraphTable } from '../../catalog/references/reference-graph.ts'
import { own } from '../../sql/operators.ts'
import { join, raw, sql, type Sql } from '../../sql/sql.ts'
import { asArchived, consumedEntries, entryColumns } from './archived-dependents.ts'
import type { Cascade } from './cascade.ts'
import { list, neededOf, refers, rowsOf, type Part } from './cascade-sql.ts'

// How rows of other tables are deleted in the statement of a batch. Invariants:
//
//   - A row is deleted only together with the row it references: the statements that
//     delete children join the rows that their parents' statement has returned, not
//     those it was to delete. A child that was moved to another parent while we
//     waited for it stays, and so do its dependents.
//   - All parts see one snapshot, and constraints are checked at the end of the
//     statement. A row that comes to refer to one of ours after the snapshot is not
//     seen; then the constraint refuses the batch, which is tried again, or
//     PostgreSQL's own cascade deletes the row, which counting detects.
//   - A row that is reached twice is deleted once and counted once: PostgreSQL
//     passes over what the same statement has deleted already.
//   - Only of a table that refers to itself is a tree chosen beforehand, for no
//     statement can join what it returns itself. If exactly that tree has not gone in
//     the end, another session changed it, and the batch must not be committed.
//   - Under ON DELETE CASCADE no constraint notices a row that a trigger keeps although the row that it
//     references is deleted. So they are counted: all that were to go have to be deleted.

/** A part of the WITH. */
export interface ChildPart extends Part {
  /** Whose rows it deletes; a table may have several parts, one for each way to it. Null where it chooses, or deletes entries. */
  readonly table: GraphTable | null
}

export interface ChildDeletions {
  /** In an order in which each needs only those before it. */
  readonly parts: readonly ChildPart[]
  /** True where not all rows were deleted that had to be; null where a constraint would notice. */
  readonly disturbed: Sql | null
}

/**
 * Deletes the rows that are deleted with those of the root. Trees need `with recursive`.
 *
 * @param gone the part of the WITH that deletes rows of the root and returns `rootColumns`
 */
export function childDeletions(cascade: Cascade, gone: string): ChildDeletions {
  const parts: ChildPart[] = []
  const disturbed: Sql[] = []
  const deleting = (table: GraphTable): string[] =>
    table.oid === cascade.root.oid
      ? [gone]
      : parts.filter((part) => part.table?.oid === table.oid).map(({ name }) => name)

  for (const table of cascade.emptied.slice(1)) {
    const name = `${gone}_${cascade.emptied.indexOf(table)}`
    const ways = waysTo(cascade, table).map(({ reference, to }) => ({ reference, parents: deleting(to) }))
    const deletion = deletionFrom(cascade, table)
    ways.forEach((way, i) => parts.push({ name: `${name}_${i + 1}`, table, query: deletion(way) }))

    const selves = subtreesOf(cascade, table)
    if (selves.length > 0) {
      const tree = `${name}_tree`
      parts.push({ name: tree, table: null, query: choice(table, ways, selves, tree) })
      for (const [i, reference] of selves.entries())
        parts.push({ name: `${name}_below_${i + 1}`, table, query: deletion({ reference, parents: [tree] }) })
      disturbed.push(sql`(${size([tree])}) ${own('<>')} (${size(deleting(table))})`)
    } else if (ways.some(({ reference }) => reference.onDelete === 'cascade'))
      disturbed.push(sql`(${dependentRows(table, ways)}) ${own('<>')} (${size(deleting(table))})`)
    parts.push(...entriesOf(cascade, table, name, deleting(table)))
  }
  return { parts, disturbed: disturbed.length === 0 ? null : join(disturbed, ' or ') }
}

/** A reference, and the parts that show the rows it may point to. */
interface Way {
  readonly reference: GraphReference
  readonly parents: readonly string[]
}

function deletionFrom(cascade: Cascade, table: GraphTable): (way: Way) => Sql {
  const returned = columnsFor(cascade, table)
  const unchanged = asArchived(cascade, table, 'c')
  return (way) => sql`
    delete from ${rowsOf(table)} c using (${parentsOf(way)}) p where ${refers(way.reference, 'c', 'p')}${and(unchanged)}
    returning ${returned.length === 0 ? raw('true') : list(returned, 'c')}`
}

function and(condition: Sql | null): Sql {
  return condition === null ? raw('') : sql` and ${condition}`
}

/** Where the rows are archived, the part that deletes the entries of those that these parts delete. */
export function entriesOf(cascade: Cascade, table: GraphTable, name: string, gone: readonly string[]): ChildPart[] {
  const query = consumedEntries(cascade, table, gone)
  return query === null ? [] : [{ name: `${name}_entries`, table: null, query }]
}

/** Rows deleted with their parents, and all their dependents. */
function choice(table: GraphTable, ways: readonly Way[], selves: readonly GraphReference[], tree: string): Sql {
  const columns = list([...new Set(selves.flatMap(neededOf))], 'c')
  const row = sql`select c.tableoid as ebb_table, c.ctid as ebb_at, ${columns} from ${rowsOf(table)} c`
  const tops = ways.map((way) => sql`${row} join (${parentsOf(way)}) p on ${refers(way.reference, 'c', 'p')}`)
  const below = selves.map((self) => refers(self, 'c', 'p'))
  return sql`
    ${join(tops, ' union all ')}
    union
    ${row} join ${raw(tree)} p on ${join(below, ' or ')}`
}

/** How many rows the snapshot of the statement shows that reference one of those that it deletes. */
function dependentRows(table: GraphTable, ways: readonly Way[]): Sql {
  const rows = ways.map(
    (way) =>
      sql`select c.tableoid, c.ctid from ${rowsOf(table)} c join (${parentsOf(way)}) p on ${refers(way.reference, 'c', 'p')}`,
  )
  return sql`select pg_catalog.count(*) from (${join(rows, ' union ')}) ebb_w`
}

function parentsOf({ reference, parents }: Way): Sql {
  const columns = list(neededOf(reference))
  return join(
    parents.map((parent) => sql`select ${columns} from ${raw(parent)}`),
    ' union all ',
  )
}

function size(parts: readonly string[]): Sql {
  return raw(parts.map((part) => `(select pg_catalog.count(*) from ${part})`).join(` ${own('+').text} `))
}

function waysTo({ walked }: Cascade, table: GraphTable) {
  return walked.filter(({ from, fate }) => fate === 'followed' && from.oid === table.oid)
}

function subtreesOf({ walked }: Cascade, table: GraphTable): GraphReference[] {
  return walked
    .filter(({ from, fate }) => fate === 'subtree' && from.oid === table.oid)
    .map(({ reference }) => reference)
}

/** What the parts of its children join by, and the part that deletes its entries. */
function columnsFor(cascade: Cascade, table: GraphTable): string[] {
  const children = cascade.walked.filter(({ to, fate }) => fate === 'followed' && to.oid === table.oid)
  const needed = children.flatMap(({ reference }) => neededOf(reference))
  return [...new Set([...needed, ...entryColumns(cascade, table)])]
}
