import { readAllPrepared } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { REFERS_TO } from '../references/foreign-key.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'

// A session that writes to a table, or only plans a query on it, executes the
// code of its owner: checks, defaults, triggers, index expressions, generated
// columns, rules, checks of domains. This code runs with the rights of the session,
// which are unlimited for a superuser; SET ROLE is no boundary, for code can reset it.

/** A function that the table's code calls, and that a superuser need not trust. */
export interface ForeignCode {
  /** With its arguments, in PostgreSQL's words. */
  readonly function: string
  readonly owner: string
  /** What calls it, in PostgreSQL's words: `trigger t on table x`. */
  readonly calledBy: string
}

/**
 * The code of others that working on the table would run; none for a role that
 * is no superuser. With the table come its partitions and children, and the
 * tables that refer to it: their triggers fire where rows go along.
 *
 * What a superuser wrote is trusted, and whatever that calls. So is what is in
 * pg_catalog, but for two kinds of functions, where the table belongs to
 * another role: those that PUBLIC may not execute, and those that execute a query
 * passed as text.
 */
export async function readForeignCode(session: Session, table: TableName): Promise<ForeignCode[]> {
  return readAllPrepared<ForeignCode>(
    session,
    sql`
    with recursive place (oid) as (
      select c.oid from pg_class c where c.oid = to_regclass(${quoted(table).text}) and (select rolsuper from pg_roles where rolname = current_user)
      union select m.oid from place p cross join lateral (${raw(FAMILY)}) m (oid)
    ),
    item (classid, objid) as (
      select 'pg_class'::regclass::oid, oid from place
      union select s.classid, s.objid from item i cross join lateral (${raw(PARTS)}) s (classid, objid)
    ),
    call (callee, classid, objid) as (
      select d.refobjid, d.classid, d.objid from item i join pg_depend d on d.classid = i.classid and d.objid = i.objid
        join pg_proc f on d.refclassid = 'pg_proc'::regclass and f.oid = d.refobjid
        where i.classid <> 'pg_proc'::regclass and not (select rolsuper from pg_roles where oid = f.proowner)
      union all select f.oid, i.classid, i.objid from item i cross join lateral (${raw(IMPLEMENTATIONS)}) m (callee)
        join pg_proc f on f.oid = m.callee where not (select rolsuper from pg_roles where oid = f.proowner)
      union all select f.oid, i.classid, i.objid from item i cross join lateral (${raw(EXPRESSIONS)}) e (owner, expression)
        cross join lateral regexp_matches(e.expression, ':(?:funcid|opfuncid) (\\d+)', 'g') m join pg_proc f on f.oid = m[1]::oid
        where not (select rolsuper from pg_roles where oid = e.owner) and f.pronamespace = 'pg_catalog'::regnamespace
          and (not has_function_privilege('public', f.oid, 'execute') or f.proname = any (${RUNS_TEXT}))
    )
    select distinct on (1) c.callee::regprocedure::text as function, pg_get_userbyid(f.proowner)::text as owner,
      pg_describe_object(c.classid, c.objid, 0) as "calledBy"
    from call c join pg_proc f on f.oid = c.callee order by 1, 3`,
  )
}

/** Of pg_catalog: they run a query that they are given as text, or read views. */
const RUNS_TEXT = [
  ...['query_to_xml', 'query_to_xmlschema', 'query_to_xml_and_xmlschema', 'cursor_to_xml', 'cursor_to_xmlschema'],
  ...['table', 'schema', 'database'].flatMap((what) => [
    `${what}_to_xml`,
    `${what}_to_xmlschema`,
    `${what}_to_xml_and_xmlschema`,
  ]),
  ...['ts_stat', 'ts_rewrite', 'set_config'],
]

const FAMILY = `
  select h.inhrelid from pg_inherits h where h.inhparent = p.oid
  union all select k.conrelid from pg_constraint k where ${REFERS_TO('p.oid', 'k')}`

const OF_TABLE = `i.classid = 'pg_class'::regclass`
const OF_TYPE = `i.classid = 'pg_type'::regclass`

// The dependent objects of a table, the parts of a type, and the operators and types used by any of them.
const PARTS = `
  select 'pg_constraint'::regclass::oid, k.oid from pg_constraint k where ${OF_TABLE} and k.conrelid = i.objid
  union all select 'pg_attrdef'::regclass, d.oid from pg_attrdef d where ${OF_TABLE} and d.adrelid = i.objid
  union all select 'pg_trigger'::regclass, t.oid from pg_trigger t where ${OF_TABLE} and t.tgrelid = i.objid and not t.tgisinternal
  union all select 'pg_rewrite'::regclass, r.oid from pg_rewrite r where ${OF_TABLE} and r.ev_class = i.objid
  union all select 'pg_class'::regclass, x.indexrelid from pg_index x where ${OF_TABLE} and x.indrelid = i.objid
  union all select 'pg_type'::regclass, a.atttypid from pg_attribute a where ${OF_TABLE} and a.attrelid = i.objid and a.attnum > 0 and not a.attisdropped
  union all select 'pg_constraint'::regclass, k.oid from pg_constraint k where ${OF_TYPE} and k.contypid = i.objid
  union all select 'pg_type'::regclass, o.oid from pg_type t, lateral (values (t.typbasetype), (t.typelem)) o (oid)
    where ${OF_TYPE} and t.oid = i.objid and o.oid <> 0
  union all select 'pg_type'::regclass, a.atttypid from pg_type t join pg_attribute a on a.attrelid = t.typrelid
    where ${OF_TYPE} and t.oid = i.objid and a.attnum > 0 and not a.attisdropped
  union all select 'pg_type'::regclass, r.rngsubtype from pg_range r where ${OF_TYPE} and r.rngtypid = i.objid
  union all select d.refclassid, d.refobjid from pg_depend d
    where d.classid = i.classid and d.objid = i.objid and d.refclassid in ('pg_operator'::regclass, 'pg_type'::regclass)`

const IMPLEMENTATIONS = `
  select o.oprcode::oid from pg_operator o where i.classid = 'pg_operator'::regclass and o.oid = i.objid
  union all select r.rngcanonical from pg_range r where ${OF_TYPE} and r.rngtypid = i.objid
  union all select r.rngsubdiff from pg_range r where ${OF_TYPE} and r.rngtypid = i.objid`

// As they are stored. Whose they are is whose table, or type, it is.
const EXPRESSIONS = `
  select coalesce(c.relowner, t.typowner), k.conbin::text
    from pg_constraint k left join pg_class c on c.oid = k.conrelid left join pg_type t on t.oid = k.contypid
    where i.classid = 'pg_constraint'::regclass and k.oid = i.objid and k.conbin is not null
  union all select c.relowner, d.adbin::text from pg_attrdef d join pg_class c on c.oid = d.adrelid
    where i.classid = 'pg_attrdef'::regclass and d.oid = i.objid
  union all select c.relowner, t.tgqual::text from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where i.classid = 'pg_trigger'::regclass and t.oid = i.objid and t.tgqual is not null
  union all select c.relowner, r.ev_action::text || r.ev_qual::text from pg_rewrite r join pg_class c on c.oid = r.ev_class
    where i.classid = 'pg_rewrite'::regclass and r.oid = i.objid
  union all select c.relowner, concat(x.indexprs::text, x.indpred::text) from pg_index x join pg_class c on c.oid = x.indrelid
    where ${OF_TABLE} and x.indexrelid = i.objid`
