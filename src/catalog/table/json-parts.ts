// Words in which the catalogue questions are put: each gives JSON in the shape of
// the model that it fills.

/** Of the role that is connected. */
export const IS_SUPERUSER = `(select rolsuper from pg_roles where rolname = current_user)`

/** A subquery's array; an empty one where it finds nothing. */
export const LIST = (query: string) => `coalesce((${query}), '[]')`

/**
 * The objects of one catalogue that depend on a table. By these, because they have an index, are found the foreign keys
 * and triggers that name another table than their own: neither `confrelid` nor `tgconstrrelid` has one, and a database
 * with thousands of partitions has a hundred thousand constraints. As an array, for the index of the other catalogue.
 */
export const DEPENDING_ON = (table: string, catalog: 'pg_constraint' | 'pg_trigger') =>
  `array(select y.objid from pg_depend y where y.classid = '${catalog}'::regclass and y.refclassid = 'pg_class'::regclass and y.refobjid = ${table})`

export const RELATION_NAME = (namespace: string, relation: string) =>
  `json_build_object('schema', ${namespace}.nspname, 'name', ${relation}.relname)`

export const RELATION_KIND = (
  kind: string,
) => `case ${kind} when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
  when 'm' then 'materialized view' when 'f' then 'foreign table' when 'S' then 'sequence' when 'i' then 'index'
  when 'I' then 'index' when 'c' then 'composite type' else 'other' end`

/**
 * Rows of relation `c` by its statistics; null where it has none, or has them from when it was empty: the planner then
 * assumes rows from the size of the file. Without a page there are none.
 */
export const ESTIMATED_ROWS = (c: string) => `case when ${c}.relkind <> 'r' then nullif(${c}.reltuples, -1)
  when pg_relation_size(${c}.oid) = 0 then 0 when ${c}.relpages > 0 then nullif(${c}.reltuples, -1) end::float8`

/**
 * The default of column `a`, a row of pg_attribute, from `d`, its row of pg_attrdef; or what generates it. A default refers to
 * no column, and without the table its text is the same: with it PostgreSQL looks at all columns of the table for each
 * of them, which takes seconds for a few hundred (findings/the-text-of-a-default-costs-all-columns-of-its-table.sh).
 */
export const COLUMN_DEFAULT = (a: string, d: string) =>
  `pg_get_expr(${d}.adbin, case when ${a}.attgenerated = '' then 0 else ${d}.adrelid end)`

/** Of relation `c`. */
export const ROW_SECURITY = `case when c.relrowsecurity then case when c.relforcerowsecurity then 'forced' else 'on' end
  when c.relforcerowsecurity then 'off, but forced' else 'off' end`

/** When a trigger or rule fires. */
export const ENABLED = (state: string) =>
  `case ${state} when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica' else 'always' end`

/** In the order of an array of column numbers; null for an expression. */
export const COLUMN_NAMES = (relation: string, numbers: string) => `coalesce((
  select json_agg(a.attname order by u.position) from unnest(${numbers}) with ordinality u (number, position)
  left join pg_attribute a on a.attrelid = ${relation} and a.attnum = u.number and u.number > 0), '[]')`

/**
 * Whether no row can hold null in column `a` (a row of pg_attribute). From PostgreSQL 18 on a NOT NULL added NOT VALID
 * sets `attnotnull` like any other, and says nothing of the rows that were there before.
 */
export const NEVER_NULL = `(a.attnotnull and not exists (select from pg_constraint v
  where v.conrelid = a.attrelid and v.contype = 'n' and not v.convalidated and a.attnum = any (v.conkey)))`

/** Names of the extensions that it goes with when they are dropped (`depends on extension`). */
export const EXTENSIONS = (
  oid: string,
  catalog: string,
) => `array(select e.extname::text from pg_depend d join pg_extension e on e.oid = d.refobjid
  where d.classid = '${catalog}'::regclass and d.objid = ${oid} and d.refclassid = 'pg_extension'::regclass and d.deptype = 'x' order by 1)`

export const COMMENT = (oid: string, catalog: string) => `obj_description(${oid}, '${catalog}')`

/** What a trigger, rule or policy has, wherever it is: of `t`, `r` and `p`. */
export const TRIGGER = `'name', t.tgname, 'definition', pg_get_triggerdef(t.oid), 'enabled', ${ENABLED('t.tgenabled')}, 'perRow', t.tgtype & 1 = 1,
    'before', t.tgtype & 2 = 2, 'transitionTables', t.tgoldtable is not null or t.tgnewtable is not null,
    'extensions', ${EXTENSIONS('t.oid', 'pg_trigger')}, 'comment', ${COMMENT('t.oid', 'pg_trigger')}`

export const RULE = `'name', r.rulename, 'definition', pg_get_ruledef(r.oid), 'enabled', ${ENABLED('r.ev_enabled')},
    'comment', ${COMMENT('r.oid', 'pg_rewrite')}`

export const POLICY = (p: string) => `'name', ${p}.polname, 'permissive', ${p}.polpermissive,
    'command', case ${p}.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
    'roles', (select json_agg(case when r <> 0 then pg_get_userbyid(r) end order by position) from unnest(${p}.polroles) with ordinality u (r, position)),
    'using', pg_get_expr(${p}.polqual, ${p}.polrelid), 'check', pg_get_expr(${p}.polwithcheck, ${p}.polrelid),
    'comment', ${COMMENT(`${p}.oid`, 'pg_policy')}`

/** Rows `entry, position` in the order of the list, in which a privilege follows the one it was passed on from. */
export const GRANTS = (acl: string, column: string) => `
  select json_build_object('column', ${column}, 'privilege', x.privilege_type, 'grantee', case when x.grantee <> 0 then pg_get_userbyid(x.grantee) end,
    'grantor', pg_get_userbyid(x.grantor), 'grantable', x.is_grantable) as entry, x.position
  from aclexplode(${acl}) with ordinality x (grantor, grantee, privilege_type, is_grantable, position)`

/** Whether values of column `a` reach us as they are: text of SQL_ASCII may be in any encoding, and cannot be sent. */
export const TELLABLE = (a: string) => `(getdatabaseencoding() <> 'SQL_ASCII' or ${a}.attcollation = 0)`
