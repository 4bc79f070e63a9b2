import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import type { TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

/** A column of a type that writes its values as text and reads none. */
export interface NotReadBack {
  readonly column: string
  readonly type: string
}

/** Their input functions do nothing but fail. */
const WITHOUT_INPUT = [
  'pg_node_tree',
  'pg_ndistinct',
  'pg_dependencies',
  'pg_mcv_list',
  'pg_brin_bloom_summary',
  'pg_brin_minmax_multi_summary',
]

/** Those of a table, by their types and what these consist of. */
export function readNotReadBack(session: Session, { schema, name }: TableName): Promise<NotReadBack[]> {
  return readAll<NotReadBack>(
    session,
    sql`
    with recursive part (attname, oid) as (
      select a.attname, a.atttypid from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = ${schema} and c.relname = ${name} and a.attnum > 0 and not a.attisdropped
      union
      select p.attname, o.oid from part p join pg_type t on t.oid = p.oid cross join lateral (
        select t.typbasetype where t.typtype = 'd' union all select t.typelem where t.typelem <> 0
        union all select a.atttypid from pg_attribute a where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
      ) o (oid)
    )
    select distinct p.attname::text as "column", t.typname::text as type from part p join pg_type t on t.oid = p.oid
    where t.typnamespace = 'pg_catalog'::regnamespace and t.typname = any (${WITHOUT_INPUT}::name[]) order by 1`,
  )
}
