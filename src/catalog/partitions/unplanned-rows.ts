import { readAll, readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'
import { ESTIMATED_ROWS } from '../table/json-parts.ts'
import { readEnds } from './default-partition.ts'
import { lookWithin } from './rows.ts'

/** What is in the DEFAULT partition of a table: rows that no partition was made for. */
export interface UnplannedRows {
  readonly partition: TableName
  /** Counted, where that was quick; else as the planner believes, null when never analysed. */
  readonly rows: number | null
  readonly counted: boolean
  readonly bytes: number
  /** Of the key, as PostgreSQL prints it, where they were found quickly. */
  readonly ends: { readonly least: string; readonly greatest: string } | null
}

/** For the count, and for the ends of the key. */
const LOOKING_MS = 500

/** Null for a table without a DEFAULT partition, or with an empty one. */
export async function readUnplannedRows(session: Session, table: TableName): Promise<UnplannedRows | null> {
  const found = await readDefault(session, table)
  if (found === undefined) return null
  const { partition, column, bytes, estimated } = found
  const counted = await lookWithin(session, LOOKING_MS, () =>
    readOne<{ rows: number }>(session, sql`select count(*)::float8 as rows from ${quoted(partition)}`),
  )
  if (counted !== 'unknown' && counted.rows === 0) return null
  const ends = column === null ? null : await readEnds(session, partition, column, () => LOOKING_MS)
  return {
    partition,
    rows: counted === 'unknown' ? estimated : counted.rows,
    counted: counted !== 'unknown',
    bytes,
    ends,
  }
}

interface Default {
  readonly partition: TableName
  /** Null where the key is not a single column. */
  readonly column: string | null
  readonly bytes: number
  readonly estimated: number | null
}

/** With at least one block: it has rows, or had some until a vacuum. */
async function readDefault(session: Session, table: TableName): Promise<Default | undefined> {
  const [found] = await readAll<Default>(
    session,
    sql`
    select json_build_object('schema', dn.nspname, 'name', d.relname) as partition, z.bytes, ${raw(ESTIMATED_ROWS('d'))} as estimated,
      case when p.partnatts = 1 then (select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum = p.partattrs[0]) end as column
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_partitioned_table p on p.partrelid = c.oid
    join pg_class d on d.oid = p.partdefid join pg_namespace dn on dn.oid = d.relnamespace
    cross join lateral (select coalesce(sum(pg_relation_size(l.relid)), 0)::float8 as bytes
      from (select d.oid as relid union select relid from pg_partition_tree(d.oid)) l join pg_class r on r.oid = l.relid and r.relkind = 'r') z
    where n.nspname = ${table.schema} and c.relname = ${table.name} and d.relkind in ('r', 'p') and z.bytes > 0`,
  )
  return found
}
