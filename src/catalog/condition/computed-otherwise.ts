import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

/** A virtual column of a table that a partition, or a child, computes by another expression than the table. */
export interface ComputedOtherwise {
  readonly column: string
  readonly partition: TableName
}

/**
 * Virtual columns exist from 18 on. PostgreSQL computes them by the expression of the table that a query names, and does not
 * compare expressions when a partition is attached: one row may have two values.
 */
export async function readComputedOtherwise(
  session: Session,
  table: TableName,
  columns: readonly string[],
): Promise<ComputedOtherwise[]> {
  return readAll<ComputedOtherwise>(
    session,
    sql`
    with recursive ours as (
        select a.attrelid, a.attname, pg_get_expr(d.adbin, d.adrelid) as expression
        from pg_attribute a join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = to_regclass(${quoted(table).text}) and a.attname = any (${columns}::text[]) and a.attgenerated = 'v'),
      below as (
        select inhrelid as oid from pg_inherits where inhparent in (select attrelid from ours)
        union select i.inhrelid from below join pg_inherits i on i.inhparent = below.oid)
    select ours.attname::text as column, json_build_object('schema', n.nspname, 'name', c.relname) as partition
    from ours cross join below join pg_class c on c.oid = below.oid join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attname = ours.attname
    join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where pg_get_expr(d.adbin, d.adrelid) <> ours.expression
    order by ours.attname, n.nspname, c.relname`,
  )
}
