import { quoted } from '../../sql/names.ts'
import { own } from '../../sql/operators.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import type { BatchRange } from './batch-range.ts'
import type { BlockWalk, PurgeLeaf, VersionList, Walk } from './work.ts'

// A list of row versions in SQL: a table with a row for some blocks of a leaf, which has the addresses (ctid), the
// inserting transactions (xmin) and the keys, as text, of the listed versions, in arrays of the same order. Invariants:
//
//   - A version has one address for as long as the file of its table stays, and no other version with this address has the
//     same xmin: the place is free only after the transaction that deleted the first has ended, and the next is written
//     by a later one. An update writes another version. Freezing leaves xmin in place (since PostgreSQL 9.4).
//   - A rewrite changes addresses, and a column that is added changes rows without new versions: of both, the seal of
//     the leaf tells (engine/purge/leaf-state.ts).
//   - In statements an entry is `ebb_c`, the row that it stands for is `t`.

export const LIST_COLUMNS = {
  leaf: 'ebb_leaf',
  seal: 'ebb_seal',
  first: 'ebb_first',
  last: 'ebb_last',
  addresses: 'ebb_at',
  xmins: 'ebb_xmin',
} as const

/** A walk of listed versions. */
export interface ListWalk extends BlockWalk {
  readonly listed: VersionList
}

export function isListed(walk: Walk): walk is ListWalk {
  return walk.kind === 'blocks' && walk.listed !== undefined
}

/** The arrays of keys. */
export function keyArrays({ key }: { readonly key: readonly unknown[] }): readonly string[] {
  return key.map((_, i) => `ebb_key_${i + 1}`)
}

/** The entries in a part of a leaf; with their keys only if asked for. */
export function entries({ walk: { listed } }: Listed, range: BatchRange, keys: readonly string[] = []): Sql {
  const names = [LIST_COLUMNS.addresses, LIST_COLUMNS.xmins, ...keys]
  const arrays = names.map((name) => sql`pg_catalog.unnest(ebb_l.${ident(name)})`)
  const within = [
    ...(range.after === null ? [] : [sql`ebb_e.ebb_at ${own('>')} ${range.after}`]),
    ...(range.upto === null ? [] : [sql`ebb_e.ebb_at ${own('<=')} ${range.upto}`]),
  ]
  return sql`select ebb_l.ebb_last, ebb_e.* from ${quoted(listed.list)} ebb_l, rows from (${join(arrays)}) ebb_e (${join(names.map((name) => ident(name)))})
    where ${join([overlapping(listed, range), ...within], ' and ')}`
}

/**
 * Changes when the addresses of a table do, and when its columns do. To be compared under a lock that keeps both
 * away; `oid` is the table's.
 */
export function sealOf(oid: Sql): Sql {
  return sql`pg_catalog.md5(pg_catalog.concat_ws(' ', pg_catalog.pg_relation_filenode(${oid}), (
    select pg_catalog.string_agg(pg_catalog.concat(a.attnum, ':', a.xmin), ',' order by a.attnum)
    from pg_catalog.pg_attribute a where a.attrelid ${own('=')} ${oid} and a.attnum ${own('>')} 0)))`
}

/** Whether the leaf, `oid`, still has the seal under which its versions were listed. */
export function isSealed({ list, leaf }: VersionList, oid: Sql): Sql {
  return sql`not exists (select from ${quoted(list)} ebb_l where ebb_l.ebb_leaf ${own('=')} ${raw(String(leaf))}
    and ebb_l.ebb_seal ${own('<>')} ${sealOf(oid)})`
}

/** What is asked of a leaf whose walk is one of a list. */
export interface Listed {
  readonly walk: ListWalk
}

/** True of the rows `ebb_l` of the list that have entries in this part of the leaf. */
function overlapping({ leaf }: VersionList, { after, upto }: BatchRange): Sql {
  return join(
    [
      sql`ebb_l.ebb_leaf ${own('=')} ${raw(String(leaf))}`,
      ...(after === null ? [] : [sql`ebb_l.ebb_last ${own('>')} ${after}`]),
      ...(upto === null ? [] : [sql`ebb_l.ebb_first ${own('<=')} ${upto}`]),
    ],
    ' and ',
  )
}

/** Joins an entry to the row that still is what was listed. */
export function sameVersion(entry = 'ebb_c', row = 't'): Sql {
  const [c, t] = [raw(entry), raw(row)]
  return sql`${t}.ctid ${own('=')} ${c}.ebb_at and ${t}.xmin ${own('=')} ${c}.ebb_xmin`
}

/**
 * Entries go with their rows, which `gone` has: parts of the statement of a batch. Rows of the list that keep none go as a
 * whole, which their numbers show: no entry has to be looked at.
 */
export function consumedFrom({ walk: { listed } }: Listed): Sql {
  const arrays = [LIST_COLUMNS.addresses, LIST_COLUMNS.xmins, ...keyArrays(listed)].map((name) => ident(name))
  const kept = arrays.map((name) => sql`pg_catalog.array_agg(ebb_e.${name} order by ebb_e.ebb_at) as ${name}`)
  const set = arrays.map((name) => sql`${name} = ebb_k.${name}`)
  const list = quoted(listed.list)
  const same = (part: string) =>
    sql`ebb_l.ebb_leaf ${own('=')} ${raw(String(listed.leaf))} and ebb_l.ebb_last ${own('=')} ${raw(part)}.ebb_last`
  return sql`, ebb_taken as materialized (
  select ebb_last, pg_catalog.count(*) as entries from gone group by 1
), ebb_emptied as (
  delete from ${list} ebb_l using ebb_taken where ${same('ebb_taken')} and pg_catalog.cardinality(ebb_l.ebb_at) ${own('=')} ebb_taken.entries
), ebb_kept as materialized (
  select ebb_l.ebb_last, ${join(kept)} from ebb_taken, ${list} ebb_l, rows from (${join(arrays.map((name) => sql`pg_catalog.unnest(ebb_l.${name})`))}) ebb_e (${join(arrays)})
  where ${same('ebb_taken')} and pg_catalog.cardinality(ebb_l.ebb_at) ${own('<>')} ebb_taken.entries and not (ebb_e.ebb_at ${own('=')} any (select ebb_at from gone)) group by 1
), ebb_shortened as (
  update ${list} ebb_l set ${join(set)} from ebb_kept ebb_k where ${same('ebb_k')}
)`
}

/**
 * How much of what was asked for there has to be up to the end of a row of the list for a slice to end there. Batches much smaller
 * than they may be would be the measure of the next ones, and never get larger than a row of the list.
 */
const MOST_OF_IT = 0.9

/**
 * Where the next `rows` entries end, at the end of a row of the list if there is one near; no row where there are none.
 * Rows of the list are taken one after the other, as many as it takes, and only the first, in which the range may begin, is unnested.
 */
export function sliceOfList({ walk: { listed } }: Listed, range: BatchRange, rows: Sql): Sql {
  const list = quoted(listed.list)
  const within = range.after === null ? raw('true') : sql`ebb_e.ebb_at ${own('>')} ${range.after}`
  const cut = sql`pg_catalog.cardinality(ebb_at) ${own('-')} (total ${own('-')} ${rows})`
  return sql`
with recursive taken as (
  select * from (
    select ebb_l.ebb_last, null::pg_catalog.tid as before, ebb_l.ebb_at, ebb_n.entries, ebb_n.entries as total
    from ${list} ebb_l, lateral (select pg_catalog.count(*) as entries from pg_catalog.unnest(ebb_l.ebb_at) ebb_e (ebb_at) where ${within}) ebb_n
    where ${overlapping(listed, range)} order by ebb_l.ebb_last limit 1
  ) ebb_f union all
  select ebb_n.ebb_last, taken.ebb_last, ebb_n.ebb_at, ebb_n.entries, taken.total ${own('+')} ebb_n.entries from taken, lateral (
    select ebb_l.ebb_last, ebb_l.ebb_at, pg_catalog.cardinality(ebb_l.ebb_at) as entries from ${list} ebb_l
    where ebb_l.ebb_leaf ${own('=')} ${raw(String(listed.leaf))} and ebb_l.ebb_last ${own('>')} taken.ebb_last order by ebb_l.ebb_last limit 1
  ) ebb_n where taken.total ${own('<')} ${rows}
), reached as (
  select taken.*, total ${own('-')} entries as wholes, total ${own('<=')} ${rows} as whole from taken order by ebb_last desc limit 1
)
select (case when whole then ebb_last when near then before else ebb_at[(${cut})::pg_catalog.int4] end)::pg_catalog.text as position,
  (case when whole then total when near then wholes else ${rows} end)::pg_catalog.int4 as rows
from (select reached.*, wholes ${own('>=')} (${raw(String(MOST_OF_IT))} ${own('*')} ${rows}) as near from reached) ebb_r where total ${own('>')} 0`
}

/** Of the entries in a part of a leaf: how many rows have changed since, and how many are no more. */
export function driftOfList(leaf: PurgeLeaf & Listed, range: BatchRange): Sql {
  const { listed } = leaf.walk
  const row = sql`exists (select from only ${quoted(leaf.name)} t where ${sameKey(listed)})`
  return sql`
select pg_catalog.count(*) filter (where there)::pg_catalog.float8 as changed, pg_catalog.count(*) filter (where not there)::pg_catalog.float8 as gone
from (
  select ${row} as there from (${entries(leaf, range, keyArrays(listed))}) ebb_c
  where not exists (select from only ${quoted(leaf.name)} t where ${sameVersion()})
) ebb_w`
}

function sameKey(listed: VersionList): Sql {
  const names = keyArrays(listed)
  const pairs = listed.key.map(({ name, type, operators }, i) => {
    const value = sql`ebb_c.${ident(names[i] ?? '')}::${raw(type)}`
    return sql`t.${ident(name)} ${raw(operators?.[2] ?? own('=').text)} ${value}`
  })
  return join(pairs, ' and ')
}
