import { quoted } from '../../sql/names.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import type { Cascade } from '../references/cascade.ts'
import type { WalkedReference } from '../references/graph.ts'
import type { BatchRange } from './batch-range.ts'
import { inRange } from './range.ts'
import type { PurgeLeaf, PurgeWork, StoredDependent } from './work.ts'

// Rows that refer to those of a table that Citus stores. A foreign key between distributed tables has their distribution
// columns, so what refers to a row is in a shard on the same node, and a delete that joins the two stays there. Each way from
// a table up to the purged one is a statement before that of the batch; those furthest away go first.

/** Whether rows are deleted with those that they refer to, by statements. What PostgreSQL would delete or change itself, nobody has counted. */
export function isFollowedThere({ reference, fate }: WalkedReference): boolean {
  const { onDelete, ontoPartition, temporal, pairs } = reference
  const isCounted = onDelete === 'no action' || onDelete === 'restrict'
  return fate === 'followed' && isCounted && !ontoPartition && !temporal && pairs.every((one) => one.collation === null)
}

/** All ways from tables to the root, the tables furthest away first. */
export function storedDependents({ root, emptied, walked }: Cascade): readonly StoredDependent[] {
  const waysUp = (oid: string): StoredDependent['way'][] =>
    oid === root.oid
      ? [[]]
      : walked
          .filter(({ fate, from }) => fate === 'followed' && from.oid === oid)
          .flatMap(({ reference: { pairs }, to }) =>
            waysUp(to.oid).map((further) => [{ pairs, to: to.name }, ...further]),
          )
  const tables = emptied.toReversed().filter(({ oid }) => oid !== root.oid)
  return tables.flatMap(({ oid, name }) => waysUp(oid).map((way) => ({ table: name, way })))
}

/** Deletes the rows of a table that refer, by one way, to the matching rows of a range. */
export function deleteReferring(
  { where }: PurgeWork,
  leaf: PurgeLeaf,
  range: BatchRange,
  { table, way }: StoredDependent,
): Sql {
  const above = way.slice(0, -1).map(({ to }, i) => sql`, ${quoted(to)} ${row(i + 1)}`)
  const referred = (way.at(-1)?.pairs ?? []).map((pair, i) => sql`t.${ident(pair.referred)} as ${ident(`ebb_k${i}`)}`)
  const same = way.flatMap(({ pairs }, step) =>
    pairs.map(({ referring, referred, operator }, i) => {
      const key = step === way.length - 1 ? sql`ebb_t.${ident(`ebb_k${i}`)}` : sql`${row(step + 1)}.${ident(referred)}`
      return sql`${key} ${raw(operator)} ${row(step)}.${ident(referring)}`
    }),
  )
  return sql`delete from ${quoted(table)} ${row(0)} using (
  select ${join(referred)} from only ${quoted(leaf.name)} t where ${inRange(leaf, range)} and (${raw(where)}
) is true) ebb_t${join(above, '')}
where ${join(same, ' and ')}`
}

function row(step: number): Sql {
  return raw(`ebb_r${step}`)
}
