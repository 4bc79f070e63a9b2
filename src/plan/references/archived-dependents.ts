import { quoted } from '../../sql/names.ts'
import { own } from '../../sql/operators.ts'
import { join, raw, sql, type Sql } from '../../sql/sql.ts'
import { leafNumber, sameKeyAsCandidate, unchangedSince } from '../purge/candidate-sql.ts'
import type { GraphTable } from '../../catalog/references/reference-graph.ts'
import type { Cascade } from './cascade.ts'
import { list, neededOf, refers, referringRows, rowsOf } from './cascade-sql.ts'
import type { WalkedReference } from './graph.ts'

// Dependent rows that are archived before they are deleted with the row that they reference. Invariants:
//
//   - A dependent row is deleted only while it holds what was archived: its statement asks the newest version.
//   - A row that leads to one which was not archived, or has changed since, stays with all that depends on it.
//   - What comes to refer to a row after the snapshot of the statement, and is cascaded away by PostgreSQL itself,
//     shows in its count of deleted rows (engine/purge/changes.ts), and the batch is undone.
//   - The entry of a row is deleted with it, in the same statement.

/**
 * True of a row of the table that is archived and has not changed since, never null; null where rows are not archived.
 * Not `… is true`: PostgreSQL expects that of one row in 200, and joins the few rows that it expects by nested loops.
 */
export function asArchived({ archived }: Cascade, table: GraphTable, row: string): Sql | null {
  const set = archived?.[table.oid]
  return set === undefined ? null : sql`coalesce(${unchangedSince(set, row)}, false)`
}

/** The columns by which an entry is found. */
export function entryColumns({ archived }: Cascade, table: GraphTable): string[] {
  return archived?.[table.oid]?.columns.map(({ name }) => name) ?? []
}

/** Deletes the entries of the rows that parts of the WITH have deleted; null where rows are not archived. */
export function consumedEntries(cascade: Cascade, table: GraphTable, parts: readonly string[]): Sql | null {
  const set = cascade.archived?.[table.oid]
  if (set === undefined) return null
  const columns = list(entryColumns(cascade, table))
  const gone = join(
    parts.map((part) => sql`select ${columns} from ${raw(part)}`),
    ' union all ',
  )
  return sql`
    delete from ${quoted(set.among.set)} ebb_s using (${gone}) g
    where ${leafNumber(set, 'ebb_s')} and ${sameKeyAsCandidate(set, 'ebb_s', 'g')} returning true`
}

/** True of a row of the root that leads to a row which is not as archived; null where that cannot be. */
export function leadsToUnarchived(cascade: Cascade, row: string): Sql | null {
  return cascade.archived === undefined ? null : leadsOn(cascade, cascade.root, row, 1)
}

function leadsOn(cascade: Cascade, table: GraphTable, row: string, depth: number): Sql | null {
  const ways = cascade.walked.filter(({ to, fate }) => fate === 'followed' && to.oid === table.oid)
  if (ways.length === 0) return null
  const conditions = ways.map((way) => throughOne(cascade, way, row, depth))
  return sql`(${join(conditions, ' or ')})`
}

function throughOne(cascade: Cascade, { reference, from }: WalkedReference, row: string, depth: number): Sql {
  const child = `ebb_d${depth}`
  const selves = subtreesOf(cascade, from)
  if (selves.length === 0)
    return sql`exists (select from ${referringRows(reference, from, child, row)} and (${isOrLeads(cascade, from, child, depth)}))`
  const tree = `ebb_t${depth}`
  const below = selves.map(({ reference: self }) => refers(self, child, tree))
  const columns = sql`${raw(child)}.tableoid as ebb_table, ${raw(child)}.ctid as ebb_at, ${list([...new Set(selves.flatMap(({ reference: self }) => neededOf(self)))], child)}`
  const here = sql`${raw(tree)}.ebb_table ${own('=')} ${raw(child)}.tableoid and ${raw(tree)}.ebb_at ${own('=')} ${raw(child)}.ctid`
  return sql`exists (with recursive ${raw(tree)} as (
    select ${columns} from ${referringRows(reference, from, child, row)}
    union select ${columns} from ${raw(tree)} join ${rowsOf(from)} ${raw(child)} on ${join(below, ' or ')}
  ) select from ${raw(tree)} join ${rowsOf(from)} ${raw(child)} on ${here} where ${isOrLeads(cascade, from, child, depth)})`
}

/** A row that is not as archived itself, or leads to one. */
function isOrLeads(cascade: Cascade, table: GraphTable, row: string, depth: number): Sql {
  const as = asArchived(cascade, table, row)
  const further = leadsOn(cascade, table, row, depth + 1)
  const conditions = [...(as === null ? [] : [sql`not (${as})`]), ...(further === null ? [] : [further])]
  return join(conditions, ' or ')
}

/**
 * The statement that puts the keys of the dependent rows of a table into its set, once those of the tables above are in
 * theirs. The whole rows are compared later, so whoever references more than one row of a set is in it once.
 */
export function collectEntries(cascade: Cascade, table: GraphTable, entry: (row: string) => Sql): Sql {
  const set = cascade.archived?.[table.oid]
  if (set === undefined) throw new Error(`no set for the rows of ${table.oid}`)
  const into = sql`insert into ${quoted(set.among.set)}`
  const ways = cascade.walked.filter(({ from, fate }) => fate === 'followed' && from.oid === table.oid)
  const selves = subtreesOf(cascade, table)
  if (selves.length === 0) {
    const rows = ways.map((way) => sql`select ${entry('c')} from ${belowEntries(cascade, way)}`)
    return sql`${into} ${join(rows, ' union all ')} on conflict do nothing`
  }
  const columns = list([...new Set(selves.flatMap(({ reference }) => neededOf(reference)))], 'c')
  const row = sql`c.tableoid as ebb_table, c.ctid as ebb_at, ${columns}`
  const tops = ways.map((way) => sql`select ${row} from ${belowEntries(cascade, way)}`)
  const below = selves.map(({ reference }) => refers(reference, 'c', 'p'))
  return sql`with recursive ebb_tree as (
  select * from (${join(tops, ' union all ')}) ebb_tops
  union
  select ${row} from ${rowsOf(table)} c join ebb_tree p on ${join(below, ' or ')}
) ${into} select ${entry('c')} from ebb_tree w join ${rowsOf(table)} c on w.ebb_table ${own('=')} c.tableoid and w.ebb_at ${own('=')} c.ctid`
}

/** The rows that reference a row with an entry, as `c`. */
function belowEntries({ archived }: Cascade, { reference, from, to }: WalkedReference): Sql {
  const above = archived?.[to.oid]
  if (above === undefined) throw new Error(`no set for the rows of ${to.oid}`)
  return sql`${quoted(above.among.set)} ebb_s join ${rowsOf(to)} p on ${sameKeyAsCandidate(above, 'ebb_s', 'p')} join ${rowsOf(from)} c on ${refers(reference, 'c', 'p')}`
}

function subtreesOf({ walked }: Cascade, table: GraphTable): WalkedReference[] {
  return walked.filter(({ from, fate }) => fate === 'subtree' && from.oid === table.oid)
}
