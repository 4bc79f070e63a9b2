import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { raw, sql } from '../../sql/sql.ts'

/** A type that is not one of PostgreSQL's own, which can be altered without touching a row. */
export interface UserType {
  /** Qualified. */
  readonly name: string
  readonly kind: 'enum' | 'composite' | 'domain' | 'range'
  /** Its values; its attributes with their types; the type below it, then its constraints; the type of its bounds. */
  readonly parts: readonly string[]
}

/** The types that the columns of a relation are made of, also as elements, attributes or bounds. */
export function readTypesOfColumns(session: Session, oid: string): Promise<(UserType & { readonly column: string })[]> {
  return readAll(
    session,
    sql`
    with recursive used as (
      select attname::text as column, atttypid as oid from pg_attribute where attrelid = ${oid}::oid and attnum > 0 and not attisdropped
      union
      select u.column, below.oid from used u join pg_type t on t.oid = u.oid cross join lateral (
        select t.typelem as oid where t.typtype = 'b' and t.typelem <> 0
        union all select t.typbasetype where t.typtype = 'd'
        union all select atttypid from pg_attribute where t.typtype = 'c' and attrelid = t.typrelid and attnum > 0 and not attisdropped
        union all select rngtypid from pg_range where rngmultitypid = t.oid
        union all select rngsubtype from pg_range where rngtypid = t.oid) below)
    select u.column, d.* from used u join ${raw(DESCRIBED)} d on d.oid = u.oid order by u.column, d.name`,
  )
}

/** Types by their qualified names, as they are now. */
export function readTypesNamed(session: Session, names: readonly string[]): Promise<UserType[]> {
  return readAll(session, sql`select d.* from ${raw(DESCRIBED)} d where d.name = any(${names}::text[]) order by d.name`)
}

/** What initdb creates has smaller oids. */
const DESCRIBED = `(
  select t.oid, format('%I.%I', n.nspname, t.typname) as name,
    case t.typtype when 'e' then 'enum' when 'c' then 'composite' when 'd' then 'domain' else 'range' end as kind,
    case t.typtype
      when 'e' then array(select enumlabel::text from pg_enum where enumtypid = t.oid order by enumsortorder)
      when 'c' then array(select format('%I %s', attname, format_type(atttypid, atttypmod)) from pg_attribute
        where attrelid = t.typrelid and attnum > 0 and not attisdropped order by attnum)
      when 'd' then array[format_type(t.typbasetype, t.typtypmod)] || case when t.typnotnull then array['NOT NULL'] else '{}' end
        || array(select pg_get_constraintdef(oid) from pg_constraint where contypid = t.oid and contype = 'c' order by conname)
      else array(select format_type(rngsubtype, null) from pg_range where rngtypid = t.oid)
    end as parts
  from pg_type t join pg_namespace n on n.oid = t.typnamespace
  where t.oid >= 16384 and t.typtype in ('e', 'c', 'd', 'r'))`
