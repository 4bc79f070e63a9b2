import type { GraphTable } from '../../catalog/references/reference-graph.ts'
import { display } from '../../sql/names.ts'
import { own } from '../../sql/operators.ts'
import { join, raw, sql, type Sql } from '../../sql/sql.ts'
import { showCount } from '../../text/units.ts'
import type { Ahead } from '../purge/work.ts'
import { asArchived, entryColumns } from './archived-dependents.ts'
import type { Cascade } from './cascade.ts'
import { childDeletions, entriesOf } from './cascade-deletions.ts'
import { list, neededOf, refers, referringRows, rowsOf } from './cascade-sql.ts'
import { parentsFirst, type WalkedReference } from './graph.ts'

// A row may have a hundred thousand dependent rows, and deleting them all in one statement would
// hold their locks for long. So a batch counts them first. If a single row has too many, rows that
// reference it are deleted ahead of it, a slice at a time and each with its own dependent rows; if one
// of those has too many in turn, the same is done one level down. Rows that reference one another, or
// close a cycle, cannot be deleted one before the other: they are deleted with their row in one
// statement, however many there are.

/** More rows of other tables than that are not deleted by one statement. */
const MOST_WITH_ONE_BATCH = 10_000

/** What can go ahead of a row of the root; `going` gives it, with the columns that are referred to. */
export function goingAhead(cascade: Cascade, going: string): Ahead[] {
  return aheadOf(cascade, going, [])
}

/** Below the last of `above`: a part of the WITH for each row on the way down, the first that refers to the one before. */
function aheadOf(cascade: Cascade, parent: string, above: Ahead['above']): Ahead[] {
  return followedOnto(cascade, cascade.root)
    .filter(({ from }) => canGoAhead(cascade, from))
    .map(({ reference, from }) => {
      const sub = partBelow(cascade, from)
      const needed = followedOnto(sub, from).flatMap((one) => neededOf(one.reference))
      const columns = [...new Set([...needed, ...entryColumns(sub, from)])]
      const { parts: below, disturbed } = childDeletions(sub, 'gone')
      const parts = [...entriesOf(sub, from, 'gone', ['gone']), ...below]
      const unchanged = asArchived(sub, from, 'c')
      const those = sql`select c.tableoid as ebb_table, c.ctid as ebb_at${shown(columns)}
  from ${raw(parent)} ebb_p, ${referringRows(reference, from, 'c', 'ebb_p')}${unchanged === null ? raw('') : sql` and ${unchanged}`}`
      const name = `ebb_above_${above.length + 1}`
      return {
        table: from.name,
        rows: rowsOf(from).text,
        above,
        those: those.text,
        columns,
        unchanged: unchanged?.text ?? null,
        crowded: isCrowded(sub, 'those'),
        companions: parts.map((part) => ({
          name: part.name,
          statement: part.query.text,
          table: part.table?.name ?? null,
        })),
        disturbed: disturbed?.text ?? null,
        further: aheadOf(sub, name, [...above, { name, statement: `${those.text} limit 1` }]),
      }
    })
}

function shown(columns: readonly string[]): Sql {
  return columns.length === 0 ? raw('') : sql`, ${list(columns, 'c')}`
}

/** The part of a cascade that begins with another table. */
function partBelow(cascade: Cascade, root: GraphTable): Cascade {
  const emptied = parentsFirst(root, cascade.walked)
  return {
    ...cascade,
    root,
    emptied,
    walked: cascade.walked.filter(({ to }) => emptied.some(({ oid }) => oid === to.oid)),
  }
}

/** True if the rows of a batch have too many dependent rows; null where that cannot be. */
export function isCrowded(cascade: Cascade, going: string): string | null {
  const most = raw(String(MOST_WITH_ONE_BATCH))
  const counts = waysDown(cascade, cascade.root, []).map(
    (way) =>
      sql`(select pg_catalog.count(*) from (select from ${rowsAlong(way, going)} limit ${most} ${own('+')} 1) ebb_w)`,
  )
  return counts.length === 0 ? null : sql`${join(counts, ` ${own('+').text} `)} ${own('>')} ${most}`.text
}

/** The text of the plan on rows with very many dependent rows. */
export function describeAhead(cascade: Cascade): string[] {
  const tables = followedOnto(cascade, cascade.root).map(({ from }) => from)
  const together = tables.filter((table) => !canGoAhead(cascade, table)).map(({ name }) => display(name))
  if (together.length === tables.length) return []
  const not = together.length === 0 ? '' : ` (not those of ${together.join(', ')})`
  return [
    `if a single row has more than ${showCount(MOST_WITH_ONE_BATCH)} dependent rows, they are deleted ahead of it, in batches of their own${not}`,
  ]
}

function followedOnto({ walked }: Cascade, table: GraphTable): WalkedReference[] {
  return walked.filter(({ to, fate }) => fate === 'followed' && to.oid === table.oid)
}

/** The references that lead from a dependent table up to the root, the last one directly below the root. */
function waysDown(cascade: Cascade, to: GraphTable, above: readonly WalkedReference[]): (readonly WalkedReference[])[] {
  return followedOnto(cascade, to).flatMap((one) => [[...above, one], ...waysDown(cascade, one.from, [...above, one])])
}

/** Its rows do not refer to one another, and nothing below leads back to a table above. */
function canGoAhead(cascade: Cascade, table: GraphTable): boolean {
  const { walked } = partBelow(cascade, table)
  return walked.every(({ fate, to }) => fate !== 'cycle' && (fate !== 'subtree' || to.oid !== table.oid))
}

/** `going ebb_r0 join only a ebb_r1 on … join only b ebb_r2 on …`. */
function rowsAlong(way: readonly WalkedReference[], going: string): Sql {
  const joins = way.map(
    ({ reference, from }, i) =>
      sql` join ${rowsOf(from)} ${raw(`ebb_r${i + 1}`)} on ${refers(reference, `ebb_r${i + 1}`, `ebb_r${i}`)}`,
  )
  return sql`${raw(going)} ebb_r0${join(joins, '')}`
}
