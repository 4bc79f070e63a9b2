import { readAllPrepared } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import type { TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

/** A column whose values `insert … select` takes and binary COPY may refuse. */
export interface NotCopyable {
  readonly column: string
  readonly because: 'no binary form' | 'unproven domain'
  /** In PostgreSQL's words: the type, or the part of it. */
  readonly type: string
}

/**
 * Those of a table, by their types and what these consist of: a type without functions to send or receive, and a domain
 * with a constraint that is NOT VALID, which COPY asks of each value.
 */
export function readNotCopyable(session: Session, { schema, name }: TableName): Promise<NotCopyable[]> {
  return readAllPrepared<NotCopyable>(
    session,
    sql`
    with recursive part (attname, oid) as (
      select a.attname, a.atttypid from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = ${schema} and c.relname = ${name} and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      union
      select p.attname, o.oid from part p join pg_type t on t.oid = p.oid cross join lateral (
        select t.typbasetype where t.typtype = 'd' union all select t.typelem where t.typelem <> 0
        union all select a.atttypid from pg_attribute a where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        union all select r.rngsubtype from pg_range r where r.rngtypid = t.oid) o (oid)
    )
    select distinct p.attname::text as "column", format_type(t.oid, null) as type,
      case when t.typsend = 0 or t.typreceive = 0 then 'no binary form' else 'unproven domain' end as because
    from part p join pg_type t on t.oid = p.oid
    where t.typsend = 0 or t.typreceive = 0 or exists (select from pg_constraint k where k.contypid = t.oid and not k.convalidated)
    order by 1`,
  )
}
