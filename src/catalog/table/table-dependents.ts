import { FOREIGN_KEYS, IS_KEY_ONTO } from '../references/foreign-key.ts'
import { DEPENDING_ON, EXTENSIONS, LIST, POLICY, RELATION_KIND, RELATION_NAME, RULE, TRIGGER } from './json-parts.ts'

// What stands on a table from outside: foreign keys of others, views, functions,
// and whatever else PostgreSQL would not drop it without. Questions as in table-parts.ts.

export const INBOUND_FOREIGN_KEYS = FOREIGN_KEYS(
  ['table', 'tableKind', 'tableOwner', 'name', 'definition', 'pairs', 'validated', 'comment'],
  `${IS_KEY_ONTO('c.oid')} and k.conrelid <> c.oid`,
)

/** Objects that depend on the table (its columns) or on its row type, apart from the table's own parts. */
const DEPENDENTS = `
  select d.classid, d.objid, d.objsubid, bool_or(d.by_type) as by_type
  from (select classid, objid, objsubid, false as by_type from pg_depend
        where refclassid = 'pg_class'::regclass and refobjid = c.oid and deptype in ('n', 'a', 'i')
        union all
        select classid, objid, objsubid, true from pg_depend
        where refclassid = 'pg_type'::regclass and deptype = 'n'
          and refobjid in (c.reltype, (select typarray from pg_type where oid = c.reltype))) d
  group by d.classid, d.objid, d.objsubid`

export const VIEWS = LIST(`select json_agg(json_build_object(
    'name', json_build_object('schema', n.nspname, 'name', v.relname), 'owner', pg_get_userbyid(v.relowner),
    'options', coalesce(v.reloptions, '{}'), 'definition', pg_get_viewdef(v.oid), 'usesRowType', u.by_type) order by v.oid)
  from (select r.ev_class, bool_or(d.by_type) as by_type from (${DEPENDENTS}) d join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
        where r.rulename = '_RETURN' and r.ev_class <> c.oid group by r.ev_class) u
  join pg_class v on v.oid = u.ev_class and v.relkind = 'v' join pg_namespace n on n.oid = v.relnamespace`)

export const FUNCTIONS = LIST(`select json_agg(json_build_object(
    'signature', p.oid::regprocedure::text, 'owner', pg_get_userbyid(p.proowner), 'definition', pg_get_functiondef(p.oid),
    'extensions', ${EXTENSIONS('p.oid', 'pg_proc')}) order by p.oid)
  from (${DEPENDENTS}) d join pg_proc p on p.oid = d.objid and d.classid = 'pg_proc'::regclass and not d.by_type where p.prosqlbody is not null`)

// Dropped with a partition, a trigger of a partitioned table takes those of its partitions along, each in a state of its own.
const IS_TRIGGER_FROM = (t: string) =>
  `${t}.tgconstrrelid = c.oid and ${t}.oid = any (${DEPENDING_ON('c.oid', 'pg_trigger')}) and ${t}.tgrelid <> c.oid and not ${t}.tgisinternal and ${t}.tgparentid = 0
    and exists (select from pg_class o where o.oid = ${t}.tgrelid and o.relkind = 'r')`

const OF_ANOTHER = `'of', ${RELATION_NAME('n', 'o')}, 'ofKind', ${RELATION_KIND('o.relkind')}, 'owner', pg_get_userbyid(o.relowner)`

export const OTHER_RULES = LIST(`select json_agg(json_build_object(${OF_ANOTHER}, ${RULE}) order by r.oid)
  from (${DEPENDENTS}) d join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
  join pg_class o on o.oid = r.ev_class join pg_namespace n on n.oid = o.relnamespace where r.ev_class <> c.oid and r.rulename <> '_RETURN'`)

export const OTHER_POLICIES = LIST(`select json_agg(json_build_object(${OF_ANOTHER}, ${POLICY('p')}) order by p.oid)
  from (${DEPENDENTS}) d join pg_policy p on p.oid = d.objid and d.classid = 'pg_policy'::regclass
  join pg_class o on o.oid = p.polrelid join pg_namespace n on n.oid = o.relnamespace where p.polrelid <> c.oid`)

export const OTHER_TRIGGERS =
  LIST(`select json_agg(json_build_object(${OF_ANOTHER}, ${TRIGGER}) order by t.tgrelid, t.tgname)
  from pg_trigger t join pg_class o on o.oid = t.tgrelid join pg_namespace n on n.oid = o.relnamespace where ${IS_TRIGGER_FROM('t')}`)

export const OTHER_DEPENDENTS = LIST(`select json_agg(json_build_object(
    'description', coalesce((select pg_describe_object('pg_class'::regclass, x.ev_class, 0) from pg_rewrite x
      where d.classid = 'pg_rewrite'::regclass and x.oid = d.objid and x.rulename = '_RETURN'), pg_describe_object(d.classid, d.objid, d.objsubid)),
    'materializedView', (select ${RELATION_NAME('n', 'v')} from pg_rewrite x join pg_class v on v.oid = x.ev_class and v.relkind = 'm'
      join pg_namespace n on n.oid = v.relnamespace where d.classid = 'pg_rewrite'::regclass and x.oid = d.objid),
    'because', case when d.by_type then 'uses its row type' else 'mentions the table' end) order by 1)
  from (${DEPENDENTS}) d
  where not case d.classid
    when 'pg_type'::regclass then d.objid = c.reltype
    when 'pg_attrdef'::regclass then exists (select from pg_attrdef x where x.oid = d.objid and x.adrelid = c.oid)
    when 'pg_constraint'::regclass then exists (select from pg_constraint x where x.oid = d.objid and (x.conrelid = c.oid or x.contype = 'f'))
    when 'pg_trigger'::regclass then exists (select from pg_trigger x where x.oid = d.objid and (x.tgrelid = c.oid or x.tgisinternal or ${IS_TRIGGER_FROM('x')}))
    when 'pg_policy'::regclass then true
    when 'pg_statistic_ext'::regclass then exists (select from pg_statistic_ext x where x.oid = d.objid and x.stxrelid = c.oid)
    when 'pg_publication_rel'::regclass then true
    when 'pg_rewrite'::regclass then exists (select from pg_rewrite x join pg_class v on v.oid = x.ev_class where x.oid = d.objid
      and (x.ev_class = c.oid or x.rulename <> '_RETURN' or v.relkind = 'v'))
    when 'pg_proc'::regclass then not d.by_type and exists (select from pg_proc x where x.oid = d.objid and x.prosqlbody is not null)
    when 'pg_class'::regclass then d.objid = c.oid or exists (select from pg_class x where x.oid = d.objid
      and (x.relkind in ('t', 'S') or exists (select from pg_index i where i.indexrelid = x.oid and i.indrelid = c.oid)
           or exists (select from pg_inherits i where i.inhrelid = x.oid and i.inhparent = c.oid)))
    else false end`)

/** Objects that use the sequence of an identity column, which cannot be handed over itself. */
export const IDENTITY_USERS = LIST(`select json_agg(distinct pg_describe_object(u.classid, u.objid, u.objsubid))
  from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
  join pg_depend u on u.refclassid = 'pg_class'::regclass and u.refobjid = s.oid and u.deptype = 'n'
  where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.deptype = 'i'`)
