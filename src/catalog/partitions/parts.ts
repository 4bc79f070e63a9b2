import { FOREIGN_KEYS, IS_KEY_OF, IS_KEY_ONTO } from '../references/foreign-key.ts'
import { defaultGranteesQuery } from '../table/default-grantees.ts'
import {
  COLUMN_NAMES,
  DEPENDING_ON,
  ESTIMATED_ROWS,
  IS_SUPERUSER,
  LIST,
  NEVER_NULL,
  RELATION_NAME,
} from '../table/json-parts.ts'
import { OWN_PARTS } from './own-parts.ts'
import { INDEX_TAIL, TABLESPACE } from '../table/table-parts.ts'
import { EXCEPTED, PUBLISHES } from '../table/published.ts'

// The catalogue questions about a partitioned table, as a select list for the
// relation `c` (its row in pg_partitioned_table is `t`); see table-parts.ts.

const COLUMNS =
  LIST(`select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', ${NEVER_NULL}, 'generated', a.attgenerated <> '') order by a.attnum)
  from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped`)

/**
 * Objects that stand on this very partition `p`; its own parts, and what it has from the parent, go with it. Constraint
 * triggers of other tables FROM it would, too, without a word.
 */
export const DEPENDENTS = LIST(`select json_agg(distinct pg_describe_object(d.classid, d.objid, 0)) from (
    select classid, objid from pg_depend where refclassid = 'pg_class'::regclass and refobjid = p.oid and deptype = 'n'
    union all
    select classid, objid from pg_depend where refclassid = 'pg_type'::regclass and deptype = 'n'
      and refobjid in (p.reltype, (select typarray from pg_type where oid = p.reltype))
    union all
    select 'pg_trigger'::regclass::oid, t.oid from pg_trigger t
      where t.tgconstrrelid = p.oid and t.oid = any (${DEPENDING_ON('p.oid', 'pg_trigger')}) and t.tgrelid <> p.oid and not t.tgisinternal
    union all
    select u.classid, u.objid from pg_depend o join pg_class q on q.oid = o.objid and q.relkind = 'S'
      join pg_depend u on u.refclassid = 'pg_class'::regclass and u.refobjid = q.oid and u.deptype = 'n'
    where o.classid = 'pg_class'::regclass and o.refclassid = 'pg_class'::regclass and o.refobjid = p.oid and o.deptype in ('a', 'i')) d
  where case d.classid
    when 'pg_rewrite'::regclass then exists (select from pg_rewrite x where x.oid = d.objid and x.ev_class <> p.oid)
    when 'pg_constraint'::regclass then exists (select from pg_constraint x where x.oid = d.objid and x.conrelid <> p.oid and ${IS_KEY_ONTO('p.oid', 'x')})
    when 'pg_policy'::regclass then exists (select from pg_policy x where x.oid = d.objid and x.polrelid <> p.oid)
    when 'pg_trigger'::regclass then exists (select from pg_trigger x where x.oid = d.objid and x.tgrelid <> p.oid)
    when 'pg_proc'::regclass then true
    when 'pg_attrdef'::regclass then exists (select from pg_attrdef x where x.oid = d.objid and x.adrelid <> p.oid)
    when 'pg_class'::regclass then exists (select from pg_class x where x.oid = d.objid and x.oid <> p.oid and x.relkind in ('r', 'p', 'f', 'c'))
    else false end`)

/** Of a partition `p`, with indexes and TOAST. One that is itself partitioned has no size; its own partitions do. */
export const SIZE = `case p.relkind when 'p' then (select coalesce(sum(pg_total_relation_size(s.relid)), 0) from pg_partition_tree(p.oid) s where s.isleaf)
  when 'r' then coalesce(pg_total_relation_size(p.oid), 0) else 0 end`

/** Of an index, what makes another one like it. */
const IDENTITY = `case p.relreplident when 'd' then to_json('default'::text) when 'n' then to_json('nothing'::text) when 'f' then to_json('full'::text)
  else coalesce((select case when k.oid is null then json_build_object('indexTail', ${INDEX_TAIL('pn', 'p')}, 'tablespace', ${TABLESPACE('x')})
      else json_build_object('constraint', pg_get_constraintdef(k.oid) || coalesce(' WITH (' || array_to_string(x.reloptions, ', ') || ')', ''), 'tablespace', ${TABLESPACE('x')}) end
    from pg_index i join pg_class x on x.oid = i.indexrelid left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u')
    where i.indrelid = p.oid and i.indisreplident), to_json('nothing'::text)) end`

const IS_EMPTY = (table: string) =>
  `(${table}.relkind = 'r' and ${table}.relam = (select oid from pg_am where amname = 'heap') and pg_relation_size(${table}.oid) = 0)`

/** Whether a partition `p` has not a single block. */
export const EMPTY = `case p.relkind when 'p'
  then not exists (select from pg_partition_tree(p.oid) s join pg_class l on l.oid = s.relid where s.isleaf and l.relkind <> 'p' and not ${IS_EMPTY('l')})
  else ${IS_EMPTY('p')} end`

/** Null where it has none: a foreign table, and a partitioned one that does not say how new partitions are to be stored. */
const ACCESS_METHOD = (table: string) => `(select m.amname::text from pg_am m where m.oid = ${table}.relam)`

const FIELDS = (
  size: string,
) => `'oid', p.oid::text, 'name', ${RELATION_NAME('pn', 'p')}, 'kind', case p.relkind when 'p' then 'partitioned' when 'f' then 'foreign' else 'table' end,
    'columnar', exists (select from pg_am m where m.oid = p.relam and m.amname = 'columnar'), 'detachPending', h.inhdetachpending, 'boundsText', pg_get_expr(p.relpartbound, p.oid),
    'estimatedRows', ${ESTIMATED_ROWS('p')}, 'bytes', ${size}, 'empty', ${EMPTY},
    'actAsOwner', pg_has_role(current_user, p.relowner, 'usage'), 'tablespace', (select spcname from pg_tablespace where oid = p.reltablespace), 'accessMethod', ${ACCESS_METHOD('p')},
    'options', to_json(array(select unnest(p.reloptions) union all select 'toast.' || unnest(x.reloptions) from pg_class x where x.oid = p.reltoastrelid)),
    'rowSecurity', p.relrowsecurity, 'rowsHidden', p.relrowsecurity and row_security_active(p.oid),
    'identity', ${IDENTITY}, 'own', ${OWN_PARTS},
    'foreignKeys', ${FOREIGN_KEYS(['name', 'references'], IS_KEY_OF('p.oid'))}, 'dependents', ${DEPENDENTS}`

/** The partition `c` as a parent: how it is divided. What its own partitions are divided into is not read. */
export const treeParts = `json_build_object('by', pg_get_partkeydef(c.oid), 'children', ${LIST(`
  select json_agg(json_build_object(${FIELDS(SIZE)}, 'tree', null) order by p.relname)
  from pg_inherits h join pg_class p on p.oid = h.inhrelid join pg_namespace pn on pn.oid = p.relnamespace where h.inhparent = c.oid`)}) as tree`

const PARTITIONS = (size: string) =>
  LIST(`select json_agg(json_build_object(${FIELDS(size)}))
  from pg_inherits h join pg_class p on p.oid = h.inhrelid join pg_namespace pn on pn.oid = p.relnamespace where h.inhparent = c.oid`)

const UNUSUAL_TRIGGERS = LIST(`select json_agg(json_build_object('name', g.tgname,
    'enabled', case g.tgenabled when 'D' then 'disabled' when 'R' then 'replica' else 'always' end) order by g.tgname)
  from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal and g.tgtype & 1 = 1 and g.tgenabled <> 'O'`)

const PUBLICATIONS = LIST(`select json_agg(distinct p.pubname) from pg_publication p
  where ${PUBLISHES('p', 'c', 'n')} or exists (select from pg_publication_rel r where r.prpubid = p.oid and not ${EXCEPTED('r')}
    and r.prrelid in (select h.inhrelid from pg_inherits h where h.inhparent = c.oid))`)

const SEQUENCE_POSITION = `(select case when has_sequence_privilege(s.oid, 'usage, select') then pg_sequence_last_value(s.oid) end
  from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
  where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.deptype in ('a', 'i')
    and d.refobjsubid = t.partattrs[0] limit 1)::text`

const KEY = {
  strategy: `case t.partstrat when 'r' then 'range' when 'l' then 'list' else 'hash' end`,
  keyColumns: COLUMN_NAMES('c.oid', 't.partattrs::int2[]'),
  columns: COLUMNS,
}

const BOUNDS =
  LIST(`select json_agg(pg_get_expr(p.relpartbound, p.oid)) from pg_inherits h join pg_class p on p.oid = h.inhrelid
  where h.inhparent = c.oid`)

function asColumns(questions: Readonly<Record<string, string>>): string {
  return Object.entries(questions)
    .map(([name, query]) => `${query} as "${name}"`)
    .join(', ')
}

/** What tells the key by itself. */
export const keyParts = asColumns({ ...KEY, bounds: BOUNDS })

const REST = {
  defaultGrantees: defaultGranteesQuery('r', 'c.relowner', 'c.relnamespace'),
  unusualTriggers: UNUSUAL_TRIGGERS,
  foreignKeys: FOREIGN_KEYS(['references'], `${IS_KEY_OF('c.oid')} and k.confrelid <> c.oid`),
  inboundForeignKeys: FOREIGN_KEYS(['name', 'table'], IS_KEY_ONTO('c.oid')),
  publications: PUBLICATIONS,
  accessMethod: `coalesce(${ACCESS_METHOD('c')}, case when not exists (select from pg_inherits h where h.inhparent = c.oid)
    then (select reset_val from pg_settings where name = 'default_table_access_method') end)`,
  excludes: 'exists (select from pg_index i where i.indrelid = c.oid and i.indisexclusion)',
  actAsOwner: `pg_has_role(current_user, c.relowner, 'usage')`,
  createInSchema: `has_schema_privilege(c.relowner, c.relnamespace, 'create') or ${IS_SUPERUSER}`,
  sequencePosition: SEQUENCE_POSITION,
}

/** `… as "partitions", … as "columns"`. */
export const partitionParts = asColumns({ ...KEY, ...REST, partitions: PARTITIONS(SIZE) })

/** The same without sizes: for one PostgreSQL opens each partition's indexes and TOAST table, half of the time of all this. */
export const unsizedParts = asColumns({ ...KEY, ...REST, partitions: PARTITIONS('0') })
