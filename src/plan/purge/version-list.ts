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

/** Entries go with their rows: parts of the statement of a batch. Rows of the list that keep none go as a whole. */
export function consumedFrom(leaf: Listed, range: BatchRange): Sql {
  const { listed } = leaf.walk
  const arrays = [LIST_COLUMNS.addresses, LIST_COLUMNS.xmins, ...keyArrays(listed)].map((name) => ident(name))
  const kept = arrays.map((name) => sql`pg_catalog.array_agg(ebb_e.${name} order by ebb_e.ebb_at) as ${name}`)
  const set = arrays.map((name) => sql`${name} = ebb_k.${name}`)
  const list = quoted(listed.list)
  const whole = { after: range.after, upto: range.upto }
  return sql`, ebb_kept as materialized (
  select ebb_l.ebb_last, ${join(kept)} from ${list} ebb_l, rows from (${join(arrays.map((name) => sql`pg_catalog.unnest(ebb_l.${name})`))}) ebb_e (${join(arrays)})
  where ${overlapping(listed, whole)} and not (ebb_e.ebb_at ${own('=')} any (select ebb_at from gone)) group by 1
), ebb_emptied as (
  delete from ${list} ebb_l where ${overlapping(listed, whole)} and not (ebb_l.ebb_last ${own('=')} any (select ebb_last from ebb_kept))
), ebb_shortened as (
  update ${list} ebb_l set ${join(set)} from ebb_kept ebb_k where ${overlapping(listed, whole)} and ebb_l.ebb_last ${own('=')} ebb_k.ebb_last
    and pg_catalog.cardinality(ebb_l.ebb_at) ${own('<>')} pg_catalog.cardinality(ebb_k.ebb_at)
)`
}

/**
 * Where the next `rows` entries end, at the end of a row of the list if that is among them; no row where there are none.
 * Rows of the list are taken in their order, and no more of them are unnested than it takes.
 */
export function sliceOfList({ walk: { listed } }: Listed, range: BatchRange, rows: Sql): Sql {
  const within = range.after === null ? raw('true') : sql`ebb_e.ebb_at ${own('>')} ${range.after}`
  return sql`
with slice as materialized (
  select ebb_e.ebb_at, ebb_l.ebb_last from (
    select ebb_l.ebb_at, ebb_l.ebb_last from ${quoted(listed.list)} ebb_l where ${overlapping(listed, range)} order by ebb_l.ebb_last limit ${rows}
  ) ebb_l, rows from (pg_catalog.unnest(ebb_l.ebb_at)) ebb_e (ebb_at) where ${within} limit ${rows}
), upto as (
  select ebb_at from slice order by ebb_at ${own('=')} ebb_last desc, ebb_at desc limit 1
)
select ebb_at::pg_catalog.text as position, (select pg_catalog.count(*)::pg_catalog.int4 from slice where slice.ebb_at ${own('<=')} upto.ebb_at) as rows from upto`
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
