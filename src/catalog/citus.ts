import type { ClientBase } from 'pg'
import { readAll } from '../db/query.ts'
import { quoted, type TableName } from '../sql/names.ts'
import { sql, type Sql } from '../sql/sql.ts'
import { plural } from '../text/units.ts'

/**
 * How Citus stores a table. `managed local`: on the coordinator alone, and known to Citus, as a table is that has a
 * foreign key onto a reference table; `plain local`: Citus knows nothing of it; `shard`: a piece of another table.
 */
export type CitusKind = 'distributed' | 'reference' | 'managed local' | 'plain local' | 'shard'

/** A table in a database with Citus. */
export interface CitusTable {
  readonly kind: CitusKind
  /** Null where each row is on all nodes, on one, or the whole table is one shard. */
  readonly distributionColumn: string | null
  /** Tables with the same number have rows of the same values in the same places; null where nothing is distributed. */
  readonly colocationId: number | null
  readonly shards: number
  /** The nodes that have shards of it: `10.0.0.5:5432`. */
  readonly nodes: readonly string[]
  /** Its access method is Citus’ columnar: rows can only be added. */
  readonly columnar: boolean
  /** Of a shard, the table that it is of. */
  readonly of: TableName | null
  /** Whether the session is connected to the coordinator: elsewhere Citus lets no table be changed. */
  readonly onCoordinator: boolean
}

/**
 * What Citus knows of a table; one row, or none where there is no such table. Only where its catalogue is.
 *
 * `pg_dist_partition.partmethod` is `n` for all without a distribution column: `repmodel` t is a reference table, a
 * colocation a table of one shard, and what is left is local.
 */
export function citusQuestion({ schema, name }: TableName): Sql {
  return sql`
    select k.kind, k."colocationId",
      case when p.partkey is not null then column_to_column_name(p.logicalrelid, p.partkey) end as "distributionColumn",
      (select count(*)::int from pg_dist_shard s where s.logicalrelid = p.logicalrelid) as shards,
      array(select distinct concat(d.nodename, ':', d.nodeport) from pg_dist_shard s join pg_dist_placement q using (shardid)
        join pg_dist_node d on d.groupid = q.groupid and d.noderole = 'primary' where s.logicalrelid = p.logicalrelid order by 1) as nodes,
      coalesce((select m.amname = 'columnar' from pg_am m where m.oid = c.relam), false) as columnar,
      case when k.kind = 'shard' then (select json_build_object('schema', on_.nspname, 'name', o.relname) from pg_class o join pg_namespace on_ on on_.oid = o.relnamespace where o.oid = shard.logicalrelid) end as of,
      (select groupid = 0 from pg_dist_local_group) as "onCoordinator"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_dist_partition p on p.logicalrelid = c.oid
      left join lateral (select s.logicalrelid from pg_dist_shard s join pg_class o on o.oid = s.logicalrelid
        where p.logicalrelid is null and s.shardid = substring(c.relname from '_([0-9]{1,18})$')::bigint and o.relnamespace = c.relnamespace
          and starts_with(c.relname, left(o.relname, 30))) shard on true,
      lateral (select case when shard.logicalrelid is not null then 'shard' when p.logicalrelid is null then 'plain local'
          when p.partmethod <> 'n' or p.repmodel <> 't' and p.colocationid <> 0 then 'distributed'
          when p.repmodel = 't' then 'reference' else 'managed local' end as kind, nullif(p.colocationid, 0)::int as "colocationId") k
    where n.nspname = ${schema} and c.relname = ${name} and c.relkind in ('r', 'p', 'f')`
}

/** Of all shards of a table. */
export interface ShardSizes {
  /** Null where one of their nodes does not answer. */
  readonly bytes: number | null
  /** As their nodes’ planners believe; null where one was never analysed. */
  readonly rows: number | null
}

/** The same of several tables that Citus stores, by their quoted names. Asks each node, one table after the other. */
export async function readShardSizes(
  client: ClientBase,
  tables: readonly TableName[],
): Promise<ReadonlyMap<string, ShardSizes>> {
  const rows = await readAll<{ readonly name: string } & ShardSizes>(
    client,
    sql`
    select t.name, citus_total_relation_size(t.name::regclass, fail_on_error => false)::float8 as bytes,
      (select case when bool_and(known.rows >= 0) then sum(known.rows)::float8 end
        from run_command_on_shards(t.name::regclass, $$select reltuples from pg_class where oid = '%s'::regclass$$),
          lateral (select case when success then result::numeric else -1 end as rows) known) as rows
    from unnest(${tables.map((table) => quoted(table).text)}::text[]) t (name)
    where exists (select from pg_dist_shard s where s.logicalrelid = t.name::regclass)`,
  )
  return new Map(rows.map(({ name, ...sizes }) => [name, sizes]))
}

/** What a node has of a table, its partitions included. */
export interface NodeShare {
  readonly node: string
  readonly shards: number
  /** Null where it does not answer. */
  readonly bytes: number | null
}

/** The nodes that store shards of a table that is not partitioned below its partitions. Asks each node. */
export function readNodeShares(client: ClientBase, table: TableName): Promise<NodeShare[]> {
  return readAll<NodeShare>(
    client,
    sql`
    with answer as (select d.nodename, d.nodeport, r.success from run_command_on_all_nodes('select 1') r join pg_dist_node d using (nodeid))
    select concat(nodename, ':', nodeport) as node, count(*)::int as shards, case when bool_and(success) then sum(shard_size)::float8 end as bytes
    from citus_shards left join answer using (nodename, nodeport) where table_name::oid in (
      select ${quoted(table).text}::regclass::oid union all select inhrelid from pg_inherits where inhparent = ${quoted(table).text}::regclass)
    group by 1 order by 1`,
  )
}

/** `distributed by tenant_id, 32 shards on 2 nodes`. */
export function describeCitus({ kind, distributionColumn, shards, nodes, columnar, of }: CitusTable): string {
  const where = `${plural(shards, 'shard')} on ${plural(nodes.length, 'node')}`
  const stored = columnar ? 'columnar, ' : ''
  switch (kind) {
    case 'distributed':
      return `${stored}${distributionColumn === null ? 'distributed whole' : `distributed by ${distributionColumn}`}, ${where}`
    case 'reference':
      return `${stored}a reference table, the same rows on ${plural(nodes.length, 'node')}`
    case 'managed local':
      return `${stored}a local table that Citus manages, on the coordinator`
    case 'shard':
      return `a shard of ${of === null ? 'another table' : `${of.schema}.${of.name}`}`
    case 'plain local':
      return `${stored}a local table that Citus does not know`
  }
}

/** Whether its rows are where PostgreSQL’s own catalogue says. */
export function isLocal({ kind }: CitusTable): boolean {
  return kind === 'plain local'
}

/** Tables whose rows of the same value are in the same places, so that statements on both stay on each node. */
export function areColocated(one: CitusTable, other: CitusTable): boolean {
  return one.kind === 'distributed' && one.colocationId !== null && one.colocationId === other.colocationId
}
