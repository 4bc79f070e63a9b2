import { display, quoted, type TableName } from '../../../sql/names.ts'
import { own } from '../../../sql/operators.ts'
import { ident, join, raw, sql, type Sql } from '../../../sql/sql.ts'
import type { KeysOfRows } from '../../archive/rows.ts'
import type { OnlineStep } from '../../language/step.ts'
import { entriesLeft, listedKeys as storedKeys } from '../stored-list.ts'
import { keyArrays, LIST_COLUMNS, sealOf } from '../version-list.ts'
import type { PurgeLeaf, PurgeWork } from '../work.ts'
import type { ArchivedSet } from './sets.ts'
import type { ArchivedKeys } from './work.ts'

// The list of the row versions that a purge archives: how it is made, filled and read. It is filled in the transaction
// that sends the rows, which is REPEATABLE READ: by the same condition of the same snapshot both are the same versions.

export function createList(table: TableName, set: ArchivedSet): OnlineStep {
  const list = quoted(set.place)
  const arrays = [LIST_COLUMNS.addresses, LIST_COLUMNS.xmins, ...keyArrays(set)]
  const types = ['pg_catalog.tid[]', 'pg_catalog.xid[]', ...set.key.map(() => 'pg_catalog.text[]')]
  const columns = arrays.map((name, i) => sql`${ident(name)} ${raw(types[i] ?? '')} not null`)
  // They hardly compress, each is read as a whole, and ANALYZE would take seconds to count their elements.
  const whole = arrays.map(
    (name) => sql`alter ${ident(name)} set storage external, alter ${ident(name)} set statistics 0`,
  )
  return {
    kind: 'online',
    key: 'set',
    title: `create ${display(set.place)}`,
    because: `lists the row versions of ${display(table)} that are archived, and their keys`,
    locks: [],
    cost: 'milliseconds',
    statements: [
      sql`create table ${list} (ebb_leaf pg_catalog.int4, ebb_seal pg_catalog.text not null, ebb_first pg_catalog.tid not null, ebb_last pg_catalog.tid, ${join(columns)}, primary key (ebb_leaf, ebb_last))`
        .text,
      sql`alter table ${list} ${join(whole)}`.text,
    ],
  }
}

/** So many versions, or those of so many blocks, are a row of the list: for deleting it is read and written as a whole. */
const VERSIONS = 1_000
const BLOCKS = 32

/** Lists the versions of a leaf. Those that an index leads to are found by it, others block after block. */
export function listVersions(work: PurgeWork, set: ArchivedSet, number: number): string {
  const leaf = work.leaves[number]
  if (leaf === undefined) throw new Error(`no leaf ${number}`)
  const arrays = ['ebb_at', 'ebb_xmin', ...keyArrays(set)]
  const columns = join(arrays.map((name) => ident(name)))
  const groups = leaf.walk.kind === 'blocks' ? byBlocks(leaf, work, set, arrays) : byIndex(leaf, work, set, arrays)
  return sql`insert into ${quoted(set.place)} (ebb_leaf, ebb_seal, ebb_first, ebb_last, ${columns})
select ${raw(String(number))}, ${sealOf(sql`${raw(leaf.oid)}::pg_catalog.oid`)}, ebb_at[1], ebb_at[pg_catalog.cardinality(ebb_at)], ${columns}
from (${groups}) ebb_g where ebb_at is not null`.text
}

function byBlocks(leaf: PurgeLeaf, { where }: PurgeWork, set: ArchivedSet, arrays: readonly string[]): Sql {
  const values = versionColumns(set).map((value, i) => sql`${value} as ${ident(arrays[i] ?? '')}`)
  const grouped = arrays.map((name) => sql`pg_catalog.array_agg(${ident(name)}) as ${ident(name)}`)
  const block = (number: string) => sql`pg_catalog.format('(%s,0)', ${raw(number)})::pg_catalog.tid`
  const size = sql`pg_catalog.pg_relation_size(${raw(leaf.oid)}::pg_catalog.oid::pg_catalog.regclass) ${own('/')} pg_catalog.current_setting('block_size')::pg_catalog.int8`
  // In order whatever plan is chosen: the blocks may also be read by an index on the condition.
  return sql`select ebb_r.* from pg_catalog.generate_series(0::pg_catalog.int8, ${size}, ${raw(String(BLOCKS))}) ebb_b, lateral (
    select ${join(grouped)} from (
      select ${join(values)} from only ${quoted(leaf.name)} t
      where t.ctid ${own('>=')} ${block('ebb_b')} and t.ctid ${own('<')} ${block(`ebb_b operator(pg_catalog.+) ${BLOCKS}`)} and (${raw(where)}
) is true order by t.ctid) ebb_v) ebb_r`
}

// Sorted once, and not for each array. That all arrays of a group have one order, and this one, is what PostgreSQL promises of a
// sorted subquery.
function byIndex(leaf: PurgeLeaf, { where }: PurgeWork, set: ArchivedSet, arrays: readonly string[]): Sql {
  const values = versionColumns(set).map((value, i) => sql`${value} as ${ident(arrays[i] ?? '')}`)
  const grouped = arrays.map((name) => sql`pg_catalog.array_agg(${ident(name)}) as ${ident(name)}`)
  return sql`select ${join(grouped)} from (
    select * from (
      select ${join(values)}, (pg_catalog.row_number() over (order by t.ctid) ${own('-')} 1) ${own('/')} ${raw(String(VERSIONS))} as ebb_n
      from only ${quoted(leaf.name)} t where (${raw(where)}
)) ebb_u order by ebb_n, ebb_at) ebb_v group by ebb_n`
}

function versionColumns({ key }: ArchivedSet): Sql[] {
  return [raw('t.ctid'), raw('t.xmin'), ...key.map(({ name }) => sql`t.${ident(name)}::pg_catalog.text`)]
}

/** What follows `from … t`, where `…` is the table with its partitions, and selects the rows whose versions are listed. */
export function ofLeaves({ where, oid, leaves }: PurgeWork): string {
  const matching = `where (${where}\n)`
  if (leaves.length === 1 && leaves[0]?.oid === oid) return matching
  const oids = leaves.map((leaf) => leaf.oid).join(',')
  return `${matching} and t.tableoid ${own('=').text} any ('{${oids}}'::pg_catalog.oid[])`
}

/** The keys of the listed versions, as a table `t` with the columns of the key in their types. */
export function keysOfList(set: ArchivedSet): KeysOfRows {
  const names = keyArrays(set)
  const values = set.key.map(({ name, type }, i) => sql`ebb_e.${ident(names[i] ?? '')}::${raw(type)} as ${ident(name)}`)
  const source = sql`(select ${join(values)} from ${listedKeys(set.place, names)}) t`
  return { table: set.place, columns: set.key.map(({ name }) => name), source: source.text }
}

/** The keys in a set or a list: their columns, and what follows `from`. */
export function keysIn({ set, columns, listed, stored }: ArchivedKeys): {
  readonly columns: readonly string[]
  readonly from: Sql
} {
  if (stored === true) return { columns: storedKeys({ key: columns }), from: entriesLeft(set) }
  if (listed !== true) return { columns, from: quoted(set) }
  const names = keyArrays({ key: columns })
  return { columns: names, from: listedKeys(set, names) }
}

function listedKeys(list: TableName, arrays: readonly string[]): Sql {
  const unnested = arrays.map((name) => sql`pg_catalog.unnest(ebb_l.${ident(name)})`)
  return sql`(select ebb_e.* from ${quoted(list)} ebb_l, rows from (${join(unnested)}) ebb_e (${join(arrays.map((name) => ident(name)))})) ebb_e`
}
