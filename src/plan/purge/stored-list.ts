import type { CitusTable } from '../../catalog/citus.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { ordered, own } from '../../sql/operators.ts'
import { ident, join, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import type { BatchRange } from './batch-range.ts'
import { fingerprintOf } from './candidate-sql.ts'
import { inRange } from './range.ts'
import type { KeyWalkColumn, PurgeLeaf, PurgeWork, StoredList } from './work.ts'

// The list of the rows that a purge archives from a table that Citus stores. It is stored like the table, so that each of
// its shards is beside the shard with the rows, and statements on both stay on that node. Invariants:
//
//   - An entry has the key of a row, a fingerprint of what the row held when it was archived, and the version that this was:
//     its address and the transaction that wrote it. By the version exactly the listed rows are sent, whatever others write.
//   - A batch first takes the entries whose rows still hold what was archived, and match: they get the number of the batch, and
//     the version that the row is now. Its second statement deletes these versions. If they are not as many, a row has changed in
//     between, and the batch is undone. It cannot be one statement: Citus changes one table with each, and compares no
//     fingerprints in a delete.
//   - A version means something within a transaction alone: shards are moved, and each copy of a reference table has its own.
//   - Entries without a batch are of rows that were archived and not deleted.
//   - In statements an entry is `ebb_c`, the row that it stands for is `t`.

const NO_BATCH = raw('ebb_c.ebb_batch is null')

/** The columns of the keys: no condition has a name in common with them. */
export function listedKeys({ key }: { readonly key: readonly unknown[] }): readonly string[] {
  return key.map((_, i) => `ebb_key_${i + 1}`)
}

/** How Citus stores a table with a list beside it. */
export type StoredKind = Pick<CitusTable, 'kind' | 'distributionColumn'>

/** Of a table that is one shard, Citus cannot list rows: it sends its node a statement that is none. */
export function isListable(stored: StoredKind | undefined): stored is StoredKind {
  return stored !== undefined && (stored.kind !== 'distributed' || stored.distributionColumn !== null)
}

/** Statements that create the list of a table. */
export function createStored(
  table: TableName,
  { list, key }: Omit<StoredList, 'leaf'>,
  stored: StoredKind,
): readonly string[] {
  const names = listedKeys({ key }).map((name) => ident(name))
  const keys = key.map(({ name }, i) => sql`t.${ident(name)} as ${names[i] ?? raw('')}`)
  return [
    sql`create table ${quoted(list)} as select 0::pg_catalog.int4 as ebb_leaf, ${join(keys)}, t.ctid as ebb_at, t.xmin as ebb_xmin, 0::pg_catalog.int8 as ebb_fingerprint, 0::pg_catalog.int4 as ebb_batch from only ${quoted(table)} t with no data`
      .text,
    // With a primary key its shards can be moved, by logical replication, with those of the table.
    sql`alter table ${quoted(list)} add primary key (ebb_leaf, ${join(names)})`.text,
    besideTable(table, { list, key }, stored).text,
  ]
}

function besideTable(
  table: TableName,
  { list, key }: Omit<StoredList, 'leaf'>,
  { kind, distributionColumn }: StoredKind,
): Sql {
  const name = literal(quoted(list).text)
  if (kind === 'reference') return sql`select create_reference_table(${name})`
  if (kind === 'managed local') return sql`select citus_add_local_table_to_metadata(${name})`
  const column = listedKeys({ key })[key.findIndex((one) => one.name === distributionColumn)]
  if (column === undefined) throw new Error('the key is not one of a distributed table')
  return sql`select create_distributed_table(${name}, ${literal(column)}, colocate_with => ${literal(quoted(table).text)})`
}

/** Lists the rows of a leaf that match. */
export function listStored({ where }: PurgeWork, leaf: PurgeLeaf, { list, key, leaf: number }: StoredList): string {
  const columns = [...listedKeys({ key }), 'ebb_at', 'ebb_xmin', 'ebb_fingerprint'].map((name) => ident(name))
  return sql`insert into ${quoted(list)} (ebb_leaf, ${join(columns)})
select ${raw(String(number))}, ${keysOfRow(key)}, t.ctid, t.xmin, ${fingerprintOf()} from only ${quoted(leaf.name)} t where (${raw(where)}
) is true`.text
}

/** What follows `from … t`, and selects the listed versions. */
export function chosenByStored({ where }: PurgeWork, { list, key }: Omit<StoredList, 'leaf'>): string {
  return sql`where (${raw(where)}
) and exists (select 1 from ${quoted(list)} ebb_c where ${sameKey(key)} and ${sameVersion()})`.text
}

/** Takes the entries of a range for a batch, by its number. */
export function takeStored({ where }: PurgeWork, leaf: PurgeLeaf & Archived, range: BatchRange, batch: Sql): Sql {
  const { list, key } = leaf.archived
  const keys = listedKeys({ key }).map((name) => ident(name))
  const taken = ['ebb_at', 'ebb_xmin', 'ebb_batch'].map((name) => sql`${ident(name)} = excluded.${ident(name)}`)
  return sql`insert into ${quoted(list)} as ebb_l (ebb_leaf, ${join(keys)}, ebb_at, ebb_xmin, ebb_fingerprint, ebb_batch)
select ebb_c.ebb_leaf, ${keysOfRow(key)}, t.ctid, t.xmin, ebb_c.ebb_fingerprint, ${batch}
from ${besideRows(leaf)} where ${NO_BATCH} and ${inRange(leaf, range)} and ${unchanged()} and (${raw(where)}
) is true
on conflict (ebb_leaf, ${join(keys)}) do update set ${join(taken)}`
}

/** Deletes the rows of the entries that a batch has taken. */
export function deleteTaken(leaf: PurgeLeaf & Archived, range: BatchRange, batch: Sql): Sql {
  const { list, key, leaf: number } = leaf.archived
  return sql`delete from only ${quoted(leaf.name)} t using ${quoted(list)} ebb_c
where ebb_c.ebb_leaf ${own('=')} ${raw(String(number))} and ebb_c.ebb_batch ${own('=')} ${batch} and ${inRange(leaf, range)} and ${sameKey(key)} and ${sameVersion()}`
}

/** How many rows of a range have an entry that no batch has taken, and hold what was archived. */
export function countListed({ where }: PurgeWork, leaf: PurgeLeaf & Archived, range: BatchRange): Sql {
  return sql`select pg_catalog.count(*)::pg_catalog.float8 as rows from ${besideRows(leaf)}
where ${NO_BATCH} and ${inRange(leaf, range)} and ${unchanged()} and (${raw(where)}
) is true`
}

/** Of the entries of a leaf that no batch has taken: how many rows are no more, and how many there are. */
export function driftOfStored(leaf: PurgeLeaf & Archived): Sql {
  const { list, key, leaf: number } = leaf.archived
  const there = sql`t.${ident(key[0]?.name ?? '')} is not null`
  return sql`select pg_catalog.count(*) filter (where ${there})::pg_catalog.float8 as there, pg_catalog.count(*) filter (where not (${there}))::pg_catalog.float8 as gone
from ${quoted(list)} ebb_c left join only ${quoted(leaf.name)} t on ${sameKey(key)}
where ebb_c.ebb_leaf ${own('=')} ${raw(String(number))} and ${NO_BATCH}`
}

/** A leaf whose rows have been archived first. */
export interface Archived {
  readonly archived: StoredList
}

export function isArchived(leaf: PurgeLeaf): leaf is PurgeLeaf & Archived {
  return leaf.archived !== undefined
}

/** The entries that no batch has taken, as `ebb_c`. */
export function entriesLeft(list: TableName): Sql {
  return sql`(select * from ${quoted(list)} ebb_c where ${NO_BATCH}) ebb_c`
}

function besideRows({ name, archived: { list, key, leaf } }: PurgeLeaf & Archived): Sql {
  return sql`only ${quoted(name)} t join ${quoted(list)} ebb_c on ${sameKey(key)} and ebb_c.ebb_leaf ${own('=')} ${raw(String(leaf))}`
}

function keysOfRow(key: readonly KeyWalkColumn[]): Sql {
  return join(key.map(({ name }) => sql`t.${ident(name)}`))
}

function sameKey(key: readonly KeyWalkColumn[]): Sql {
  const names = listedKeys({ key })
  const pairs = key.map(
    ({ name, operators }, i) => sql`ebb_c.${ident(names[i] ?? '')} ${ordered(operators, '=')} t.${ident(name)}`,
  )
  return join(pairs, ' and ')
}

function sameVersion(): Sql {
  return sql`ebb_c.ebb_at ${own('=')} t.ctid and ebb_c.ebb_xmin ${own('=')} t.xmin`
}

function unchanged(): Sql {
  return sql`ebb_c.ebb_fingerprint ${own('=')} ${fingerprintOf()}`
}
