import { quoted, type TableName } from '../../../sql/names.ts'
import { own } from '../../../sql/operators.ts'
import { ident, join, raw, sql, type Sql } from '../../../sql/sql.ts'
import type { PurgeLeaf } from '../work.ts'
import {
  amongCandidates,
  besideEntry,
  bytesOf,
  fingerprintOf,
  leafNumber,
  sameKeyAsCandidate,
  SET_COLUMNS,
  type SetWalk,
} from '../candidate-sql.ts'

// What of a set is archived. Both statements belong into one REPEATABLE READ transaction, in this order: the set
// then names exactly the rows that are archived, and each by what it held in this snapshot. A row that was changed
// when its archive was made, and is changed back later, would otherwise be deleted without having been archived.

/** The rows of a leaf that are in a set. */
export interface SetOfLeaf {
  readonly leaf: TableName
  readonly oid: string
  readonly walk: SetWalk
}

export function setOfLeaves(leaves: readonly PurgeLeaf[]): SetOfLeaf[] {
  return leaves.flatMap(({ name, oid, walk }) => (amongCandidates(walk) ? [{ leaf: name, oid, walk }] : []))
}

/**
 * Takes out of the set what is no more, no longer holds what was recorded, or no longer matches. To be read under the
 * settings of the set; `where` is null where the set alone decides.
 */
export function dropChanged({ leaf, walk }: SetOfLeaf, where: string | null): string {
  const set = quoted(walk.among.set)
  const unchanged = sql`ebb_c.${ident(SET_COLUMNS.fingerprint)} ${own('=')} ${fingerprintOf()}`
  const matches = where === null ? raw('') : sql` or not ${besideEntry(where)}`
  return sql`delete from ${set} ebb_s using (
  select ebb_c.ctid as ebb_at from ${set} ebb_c left join only ${quoted(leaf)} t on ${sameKeyAsCandidate(walk)}
  where ${leafNumber(walk)} and ((${unchanged}) is not true${matches})
) ebb_d where ebb_s.ctid ${own('=')} ebb_d.ebb_at`.text
}

/**
 * What follows `from … t`, where `…` is the table with its partitions, and selects the rows of a set. The condition is
 * true of all of them, and keeps PostgreSQL from reading partitions and blocks without such rows.
 */
export function chosenBySet(leaves: readonly SetOfLeaf[], where: string | null): string {
  const [first] = leaves
  if (first === undefined) throw new Error('a set without leaves')
  const matching = raw(where === null ? '' : `(${where}\n) and `)
  return sql`where ${matching}exists (select from ${quoted(first.walk.among.set)} ebb_c where ${sameKeyAsCandidate(first.walk)} and ${inItsLeaf(leaves)})`
    .text
}

/** The same of dependent rows. */
export function chosenDependents(walk: SetWalk): string {
  return sql`where exists (select from ${quoted(walk.among.set)} ebb_c where ${leafNumber(walk)} and ${sameKeyAsCandidate(walk)})`
    .text
}

/** The entry of a dependent row, in the order of the set's columns. */
export function entryOf({ columns, among }: SetWalk, row: string): Sql {
  const key = columns.map(({ name }) => ident(row, name))
  return join([raw(String(among.leaf)), ...key, fingerprintOf(row), bytesOf(row)])
}

/** A key may be in several partitions: that an entry is of this one. */
function inItsLeaf(leaves: readonly SetOfLeaf[]): Sql {
  const pairs = leaves.map(
    ({ oid, walk }) => sql`when ${raw(oid)}::pg_catalog.oid then ${raw(String(walk.among.leaf))}`,
  )
  return sql`ebb_c.${ident(SET_COLUMNS.leaf)} ${own('=')} case t.tableoid ${join(pairs, ' ')} end`
}
