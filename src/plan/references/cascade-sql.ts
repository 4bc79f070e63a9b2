import type { GraphReference, GraphTable } from '../../catalog/references/reference-graph.ts'
import { quoted } from '../../sql/names.ts'
import { own } from '../../sql/operators.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import type { Branch, Cascade, Reason } from './cascade.ts'

// What keeps rows of the root from being deleted, and how rows reference one another, in SQL.

/** One `name as (…)` of a WITH. */
export interface Part {
  readonly name: string
  readonly query: Sql
}

/** The join columns of the root: the rows chosen, and those deleted, have to return them. */
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

/** True for a row that has to be kept for this reason. `row` is the name by which the statement knows rows of the root. */
export function isSetAside({ branches }: Reason, row: string): Sql {
  return join(
    branches.map((branch) => leadsOn(branch, row, 1)),
    ' or ',
  )
}

/** True for a row that another one of the root references. */
export function isReferredByOwn({ root }: Cascade, self: GraphReference, row: string): Sql {
  const other = sql`row(c.tableoid, c.ctid) ${own('<>')} row(${raw(row)}.tableoid, ${raw(row)}.ctid)`
  return sql`exists (select from ${referringRows(self, root, 'c', row)} and ${other})`
}

function leadsOn({ reference, from, onwards }: Branch, parent: string, depth: number): Sql {
  const child = `r${depth}`
  const further = onwards.map((branch) => leadsOn(branch, child, depth + 1))
  const condition = further.length === 0 ? raw('') : sql` and (${join(further, ' or ')})`
  return sql`exists (select from ${referringRows(reference, from, child, parent)}${condition})`
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
      and not exists (select from ${raw(chosen)} w where w.ebb_table ${own('=')} c.tableoid and w.ebb_at ${own('=')} c.ctid))`,
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
    where not exists (select from ${raw(stays)} s where s.ebb_table ${own('=')} v.ebb_table and s.ebb_at ${own('=')} v.ebb_at)`,
    },
  ]
}

/** The first, second, … row of the referenced table, with the referenced columns. */
export function oneRowOf(reference: GraphReference, to: GraphTable, position: number): Sql {
  return sql`select ${list(neededOf(reference))} from ${rowsOf(to)} limit 1 offset ${raw(String(position))}`
}

/** `child c where …`: the rows that reference the row `parent`. */
export function referringRows(reference: GraphReference, from: GraphTable, child: string, parent: string): Sql {
  return sql`${rowsOf(from)} ${raw(child)} where ${refers(reference, child, parent)}`
}

/** The rows the constraint itself covers: of a plain table its own, of a partitioned one all. */
export function rowsOf({ name, partitioned }: GraphTable): Sql {
  return partitioned ? quoted(name) : sql`only ${quoted(name)}`
}

/** `child` references `parent`, compared as the constraint compares. A null references nothing. */
export function refers({ pairs }: GraphReference, child: string, parent: string): Sql {
  return join(
    pairs.map(({ referring, referred, operator, collation }) => {
      const by = collation === null ? raw('') : raw(` collate ${collation}`)
      return sql`${ident(parent, referred)}${by} ${raw(operator)} ${ident(child, referring)}`
    }),
    ' and ',
  )
}

/** The columns that a reference points to. */
export function neededOf({ pairs }: GraphReference): string[] {
  return pairs.map(({ referred }) => referred)
}

/** Columns with commas between them, of the row that is known by a name. */
export function list(columns: readonly string[], of?: string): Sql {
  return join(columns.map((column) => (of === undefined ? ident(column) : ident(of, column))))
}
