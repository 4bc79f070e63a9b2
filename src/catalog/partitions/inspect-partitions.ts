import type { ClientBase } from 'pg'
import { readAll } from '../../db/query.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'
import { isLocal, readShardSizes } from '../citus.ts'
import { readCitus } from '../managers.ts'
import { ESTIMATED_ROWS } from '../table/json-parts.ts'

/** One partition, as its parent's map shows it. Any kind of partitioning; nothing is concluded from the bounds. */
export interface MapEntry {
  readonly name: TableName
  /** PostgreSQL's own words: `FOR VALUES FROM ('…') TO ('…')`, `DEFAULT`. */
  readonly bounds: string
  /** As the planner believes; null where it was never analysed. */
  readonly estimatedRows: number | null
  /** With indexes, TOAST and partitions of its own; null where a node that stores some of it does not answer. */
  readonly bytes: number | null
  /** `partitioned` has partitions of its own; `detaching` is on its way out, see `detach partition … finalize`. */
  readonly state: 'table' | 'partitioned' | 'foreign table' | 'detaching'
}

/** The partitions of a table, in the order of their bounds. */
export async function readPartitionMap(client: ClientBase, table: TableName): Promise<MapEntry[]> {
  const entries = await readAll<MapEntry>(
    client,
    sql`
    select json_build_object('schema', cn.nspname, 'name', c.relname) as name,
      coalesce(pg_get_expr(c.relpartbound, c.oid), '') as bounds, ${raw(ESTIMATED_ROWS('c'))} as "estimatedRows",
      (select coalesce(sum(pg_total_relation_size(t.relid)), 0) from pg_partition_tree(c.oid) t)::float8 as bytes,
      case when i.inhdetachpending then 'detaching' when c.relkind = 'p' then 'partitioned'
        when c.relkind = 'f' then 'foreign table' else 'table' end as state
    from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace cn on cn.oid = c.relnamespace
      join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace
    where pn.nspname = ${table.schema} and p.relname = ${table.name} and p.relkind = 'p'`,
  )
  const sized = await sizedByCitus(client, table, entries)
  return sized.sort((a, b) => compareBounds(rangeOf(a.bounds), rangeOf(b.bounds)))
}

/** Where Citus stores them, the files and statistics here are those of empty shells. */
async function sizedByCitus(client: ClientBase, table: TableName, entries: readonly MapEntry[]): Promise<MapEntry[]> {
  const citus = await readCitus(client, table)
  if (citus === null || isLocal(citus)) return [...entries]
  const sizes = await readShardSizes(
    client,
    entries.map(({ name }) => name),
  )
  return entries.map((entry) => {
    const { bytes, rows: estimatedRows } = sizes.get(quoted(entry.name).text) ?? { bytes: null, rows: null }
    return { ...entry, bytes, estimatedRows }
  })
}

/** The two ends of a range, without their quotes; null where the bounds are something else. */
export function rangeOf(bounds: string): { readonly from: string; readonly to: string } | null {
  const [, from, to] = /^FOR VALUES FROM \((.*)\) TO \((.*)\)$/s.exec(bounds) ?? []
  return from === undefined || to === undefined ? null : { from: unquoted(from), to: unquoted(to) }
}

function unquoted(literal: string): string {
  return /^'(?:[^']|'')*'$/.test(literal) ? literal.slice(1, -1).replaceAll("''", "'") : literal
}

type Range = ReturnType<typeof rangeOf>

function compareBounds(a: Range, b: Range): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null)
  if (a.from === b.from) return 0
  if (a.from === 'MINVALUE' || b.from === 'MINVALUE') return a.from === 'MINVALUE' ? -1 : 1
  if (/^-?\d+$/.test(a.from) && /^-?\d+$/.test(b.from)) return BigInt(a.from) < BigInt(b.from) ? -1 : 1
  return a.from < b.from ? -1 : 1
}
