import type { ClientBase } from 'pg'
import { readAllPrepared } from '../../db/query.ts'
import type { KeyKind, Position } from '../../grid/key.ts'
import { distinctNames, quoted, type TableName } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'
import { ROW_SECURITY } from '../table/json-parts.ts'
import type { RowSecurity } from '../table/table-model.ts'
import { isLocal, readShardSizes, type CitusTable, type ShardSizes } from '../citus.ts'
import { readCitus } from '../managers.ts'
import { parseBounds, type Bounds } from './bounds.ts'
import { kindOfSet, spanOf } from './key.ts'
import type { OwnPart } from './own-parts.ts'
import { keyParts, partitionParts, treeParts, unsizedParts } from './parts.ts'

/** A partitioned table and its partitions, half-detached ones included. Bounds are the catalogue's; names decide nothing. */
export interface PartitionedTable {
  readonly oid: string
  readonly name: TableName
  readonly owner: string
  readonly strategy: 'range' | 'list' | 'hash'
  /** Null where it is no single column of a type that can be a key, partitioned by range. */
  readonly key: SetKey | null
  readonly columns: readonly SetColumn[]
  /** In the order of their lower bounds. */
  readonly partitions: readonly Partition[]
  readonly tablespace: string | null
  /** How new partitions are to be stored: what the table says (from 17 on), or the database, if it has none; null: as the others are. */
  readonly accessMethod: string | null
  readonly rowSecurity: RowSecurity
  /** Roles that default privileges have something to say of (null is PUBLIC) when the owner, or the role connected, makes a table here. */
  readonly defaultGrantees: readonly (string | null)[]
  /** Row triggers that are switched off, or fire in replicas too. */
  readonly unusualTriggers: readonly {
    readonly name: string
    readonly enabled: 'disabled' | 'replica' | 'always'
  }[]
  /** Tables that its foreign keys point to. */
  readonly references: readonly TableName[]
  readonly inboundForeignKeys: readonly { readonly name: string; readonly table: TableName }[]
  readonly publications: readonly string[]
  /** Rows exclude each other by one of its indexes (EXCLUDE, WITHOUT OVERLAPS): attaching a table that has the same makes another. */
  readonly excludes: boolean
  readonly actAsOwner: boolean
  readonly createInSchema: boolean
  /** The last value that the key's own sequence has given out. */
  readonly sequencePosition: bigint | null
  /** How Citus stores it, and so its partitions; absent where PostgreSQL does. */
  readonly citus?: CitusTable
}

export interface SetKey {
  readonly column: string
  readonly type: string
  readonly kind: KeyKind
}

export interface SetColumn {
  readonly name: string
  readonly type: string
  readonly notNull: boolean
  /** Computed from others, so that no statement may set it. */
  readonly generated: boolean
}

export interface Partition {
  readonly oid: string
  readonly name: TableName
  readonly kind: 'table' | 'partitioned' | 'foreign'
  /** Stored by Citus’ access method: rows can be added, and neither updated nor deleted. */
  readonly columnar: boolean
  readonly isDefault: boolean
  /** What an interrupted `detach … concurrently` leaves: its rows cannot be seen through the parent any more. */
  readonly detachPending: boolean
  /** Null where nothing is known about the bounds, so that nothing is decided by them. */
  readonly range: PartitionRange | null
  /** As PostgreSQL prints the bounds: two equal texts mean the same partition of the line. */
  readonly boundsText: string
  /** As the planner believes; null when never analysed. */
  readonly estimatedRows: number | null
  /** With indexes and TOAST; 0 where sizes were not asked for. */
  readonly bytes: number
  /** Not a single block, so not a single row. */
  readonly empty: boolean
  readonly actAsOwner: boolean
  readonly tablespace: string | null
  readonly accessMethod: string | null
  /** Storage parameters, `toast.` ones included. */
  readonly options: readonly string[]
  readonly rowSecurity: boolean
  /** Its row-level security applies to this role. */
  readonly rowsHidden: boolean
  readonly identity: LeafIdentity
  readonly own: readonly OwnPart[]
  readonly foreignKeys: readonly { readonly name: string; readonly references: TableName }[]
  /** What would keep it from being dropped, in PostgreSQL's words: a view on this very partition, … */
  readonly dependents: readonly string[]
  /** Of one that is itself partitioned. */
  readonly tree: SubTree | null
}

/** How a partition is divided further. */
export interface SubTree {
  /** `LIST (region)`. */
  readonly by: string
  /** In the order of their names. */
  readonly children: readonly SubPartition[]
}

/** One of several levels below has no tree either: it is not read. */
export type SubPartition = Omit<Partition, 'range' | 'isDefault'>

/**
 * What is sent of an updated or deleted row, by which subscribers find it. Each partition has an identity of its own,
 * and an index of its own for it, here as what follows `add constraint …`, or `create unique index … on …`.
 */
export type LeafIdentity =
  | 'default'
  | 'nothing'
  | 'full'
  | { readonly constraint: string; readonly tablespace: string | null }
  | { readonly indexTail: string; readonly tablespace: string | null }

/** From is inside, to is not; null is without a bound. */
export interface PartitionRange {
  readonly from: Position | null
  readonly to: Position | null
  /** The same as text, for a neighbour that has to begin exactly where this one ends. */
  readonly fromText: string | null
  readonly toText: string | null
  /** False where the upper bound lies a little after `to`, between two positions. */
  readonly toIsExact: boolean
}

/**
 * Reads a partitioned table; undefined where there is none of that name. One query, and another where partitions are
 * partitioned themselves, so that a thousand partitions take no longer than their sizes do.
 *
 * @param kind what an integer key means, where a policy says so; otherwise the bounds tell
 * @param sizes whether to ask for the sizes of partitions, too
 */
export async function readPartitionedTable(
  client: ClientBase,
  name: TableName,
  kind: KeyKind | null = null,
  sizes = true,
): Promise<PartitionedTable | undefined> {
  const [row] = await readAllPrepared<Row>(
    client,
    sql`
    select c.oid::text as oid, json_build_object('schema', n.nspname, 'name', c.relname) as name, pg_get_userbyid(c.relowner)::text as owner,
      (select spcname::text from pg_tablespace where oid = c.reltablespace) as tablespace,
      ${raw(ROW_SECURITY)} as "rowSecurity",
      ${raw(sizes ? partitionParts : unsizedParts)}
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_partitioned_table t on t.partrelid = c.oid
    where n.nspname = ${name.schema} and c.relname = ${name.name}`,
  )
  if (row === undefined) return undefined
  const divided = row.partitions.some((partition) => partition.kind === 'partitioned')
  const set = understood(row, kind, divided ? await readTrees(client, row.oid) : new Map())
  const citus = await readCitus(client, name)
  return citus === null || isLocal(citus) ? set : { ...set, citus, ...(await storedElsewhere(client, set, sizes)) }
}

/** What the files here say of partitions whose rows are on other nodes is wrong: that they are empty. */
async function storedElsewhere(
  client: ClientBase,
  { partitions }: PartitionedTable,
  sizes: boolean,
): Promise<Pick<PartitionedTable, 'partitions'>> {
  const sized = sizes
    ? await readShardSizes(
        client,
        partitions.map(({ name }) => name),
      )
    : new Map<string, ShardSizes>()
  return {
    partitions: partitions.map((partition) => {
      const { bytes, rows: estimatedRows } = sized.get(quoted(partition.name).text) ?? { bytes: null, rows: null }
      return { ...partition, empty: false, bytes: bytes ?? 0, estimatedRows }
    }),
  }
}

/** How the partitions of a table are divided, by their oids. Few tables have such, and to prepare for them costs all others. */
async function readTrees(client: ClientBase, oid: string): Promise<ReadonlyMap<string, SubTree>> {
  const rows = await readAllPrepared<{ oid: string; tree: SubTree }>(
    client,
    sql`
    select c.oid::text as oid, ${raw(treeParts)}
    from pg_inherits u join pg_class c on c.oid = u.inhrelid join pg_partitioned_table t on t.partrelid = c.oid
    where u.inhparent = ${oid}::oid`,
  )
  return new Map(rows.map((row) => [row.oid, row.tree]))
}

/** How a partitioned table is partitioned. */
export interface Partitioning {
  /** Null where it is not by range of one column of a type that can be a key. */
  readonly key: SetKey | null
}

/** The same of a table alone, without anything of its partitions; undefined where it is not partitioned. */
export async function readPartitioning(client: ClientBase, name: TableName): Promise<Partitioning | undefined> {
  const [row] = await readAllPrepared<KeyRow & { readonly bounds: readonly string[] }>(
    client,
    sql`select ${raw(keyParts)} from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_partitioned_table t on t.partrelid = c.oid
    where n.nspname = ${name.schema} and c.relname = ${name.name}`,
  )
  return row === undefined ? undefined : { key: keyOf(row, row.bounds.map(parseBounds).flatMap(present), null) }
}

/** What tells the key. */
type KeyRow = Pick<PartitionedTable, 'strategy' | 'columns'> & { readonly keyColumns: readonly (string | null)[] }

type Row = Omit<PartitionedTable, 'citus' | 'key' | 'partitions' | 'references' | 'sequencePosition'> & {
  readonly keyColumns: KeyRow['keyColumns']
  readonly partitions: readonly RawPartition[]
  readonly foreignKeys: readonly { readonly references: TableName }[]
  readonly sequencePosition: string | null
}

type RawPartition = Omit<Partition, 'range' | 'isDefault' | 'tree'>

function understood(row: Row, given: KeyKind | null, trees: ReadonlyMap<string, SubTree>): PartitionedTable {
  const bounds = row.partitions.map(({ boundsText }) => parseBounds(boundsText))
  const key = keyOf(row, bounds.flatMap(present), given)
  const partitions = row.partitions.map((partition) => ({ ...partition, tree: trees.get(partition.oid) ?? null }))
  return {
    ...row,
    key,
    references: distinctNames(row.foreignKeys.map(({ references }) => references)),
    partitions: partitions.map((partition, i) => placed(partition, bounds[i] ?? null, key)).sort(byStart),
    sequencePosition: row.sequencePosition === null ? null : BigInt(row.sequencePosition),
  }
}

function keyOf(
  { strategy, keyColumns, columns }: KeyRow,
  bounds: readonly Bounds[],
  given: KeyKind | null,
): SetKey | null {
  const [name] = keyColumns
  const column = keyColumns.length === 1 ? columns.find((candidate) => candidate.name === name) : undefined
  if (strategy !== 'range' || column === undefined) return null
  const kind = given ?? kindOfSet(column.type, bounds)
  return kind === null ? null : { column: column.name, type: column.type, kind }
}

function present<T>(value: T | null): T[] {
  return value === null ? [] : [value]
}

function placed(
  partition: Omit<Partition, 'range' | 'isDefault'>,
  bounds: Bounds | null,
  key: SetKey | null,
): Partition {
  const isDefault = bounds?.kind === 'default'
  const place = bounds?.kind === 'range' && key !== null ? spanOf(key.kind, bounds) : null
  if (bounds?.kind !== 'range' || place === null) return { ...partition, isDefault, range: null }
  const { span, toIsExact } = place
  return { ...partition, isDefault, range: { ...span, fromText: bounds.from, toText: bounds.to, toIsExact } }
}

function byStart({ range: a }: Partition, { range: b }: Partition): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1
  if (a.from === b.from) return 0
  if (a.from === null) return -1
  if (b.from === null) return 1
  return a.from < b.from ? -1 : 1
}
