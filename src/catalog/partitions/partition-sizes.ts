import type { ClientBase } from 'pg'
import { readAll } from '../../db/query.ts'
import type { TableName } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'
import { ESTIMATED_ROWS, RELATION_NAME } from '../table/json-parts.ts'
import { EMPTY, SIZE } from './parts.ts'

/** How large a partition is, and where it lies. */
export interface PartitionSize {
  readonly oid: string
  readonly name: TableName
  /** As PostgreSQL prints them. */
  readonly boundsText: string
  readonly detachPending: boolean
  /** With indexes and TOAST; 0 for one on another server. */
  readonly bytes: number
  /** As the planner believes; null where it was never analysed. */
  readonly estimatedRows: number | null
  /** Not a single block, so not a single row. */
  readonly empty: boolean
}

/**
 * The partitions of those of the tables that are there, one array for each table. One question for all of them, which
 * needs no right on any.
 */
export async function readPartitionSizes(
  client: ClientBase,
  tables: readonly TableName[],
): Promise<readonly (readonly PartitionSize[])[]> {
  const rows = await readAll<PartitionSize & { readonly position: number }>(
    client,
    sql`
    select (w.position - 1)::int as position, p.oid::text as oid, ${raw(RELATION_NAME('pn', 'p'))} as name,
      pg_get_expr(p.relpartbound, 0) as "boundsText", h.inhdetachpending as "detachPending",
      (${raw(SIZE)})::float8 as bytes, ${raw(ESTIMATED_ROWS('p'))} as "estimatedRows", ${raw(EMPTY)} as empty
    from unnest(${tables.map(({ schema }) => schema)}::text[], ${tables.map(({ name }) => name)}::text[]) with ordinality w (schema, name, position)
      join pg_namespace n on n.nspname = w.schema join pg_class c on c.relnamespace = n.oid and c.relname = w.name and c.relkind = 'p'
      join pg_inherits h on h.inhparent = c.oid join pg_class p on p.oid = h.inhrelid join pg_namespace pn on pn.oid = p.relnamespace
    where p.relpartbound is not null`,
  )
  const found: PartitionSize[][] = tables.map(() => [])
  for (const { position, ...partition } of rows) found[position]?.push(partition)
  return found
}
