import { defaultGranteesQuery } from './default-grantees.ts'
import { orderingOf } from '../../sql/operators.ts'
import { join, raw, sql, type Sql } from '../../sql/sql.ts'
import { COLUMN_PAIRS, IS_NO_CLONE } from '../references/foreign-key.ts'
import { CONSTRAINT_TRIGGERS } from '../references/constraint-triggers.ts'
import {
  COLUMN_DEFAULT,
  COLUMN_NAMES,
  COMMENT,
  EXTENSIONS,
  GRANTS,
  LIST,
  NEVER_NULL,
  POLICY,
  RELATION_KIND,
  RULE,
  TRIGGER,
} from './json-parts.ts'
import {
  FUNCTIONS,
  IDENTITY_USERS,
  INBOUND_FOREIGN_KEYS,
  OTHER_DEPENDENTS,
  OTHER_POLICIES,
  OTHER_RULES,
  OTHER_TRIGGERS,
  VIEWS,
} from './table-dependents.ts'

// The catalogue questions, one per part of a table. Each is a scalar subquery
// that gives JSON in the shape of table-model.ts, for the relation `c` of the
// outer query, so that the whole model is read by one statement in one moment.

// The definition after `CREATE INDEX name ON table `. The prefix is built, not searched for, so a name may hold anything.
export const INDEX_TAIL = (
  n: string,
  c: string,
) => `substr(pg_get_indexdef(x.oid), 1 + length(format('CREATE %sINDEX %I ON %s%I.%I ', case when i.indisunique then 'UNIQUE ' else '' end,
  x.relname, case when x.relkind = 'I' then 'ONLY ' else '' end, ${n}.nspname, ${c}.relname)))`
/** Null for that of the database. */
export const TABLESPACE = (x: string) => `(select spcname from pg_tablespace where oid = ${x}.reltablespace)`
// What people set (`n_distinct`). From the minor releases of November 2026 on PostgreSQL keeps a version of its own there,
// `pg_attver`, which is another one on every new table (seen on 15.20).
const COLUMN_OPTIONS = `to_json(array(select o from unnest(a.attoptions) o where o not like 'pg\\_%'))`

const COLUMNS = LIST(`select json_agg(json_build_object(
    'name', a.attname, 'quoted', quote_ident(a.attname), 'type', format_type(a.atttypid, a.atttypmod), 'notNull', ${NEVER_NULL},
    'default', ${COLUMN_DEFAULT('a', 'd')}, 'generated', a.attgenerated <> '',
    'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end,
    'collation', case when a.attcollation <> t.typcollation then a.attcollation::regcollation::text end,
    'storage', a.attstorage, 'compression', a.attcompression, 'statisticsTarget', nullif(a.attstattarget, -1),
    'options', ${COLUMN_OPTIONS}, 'comment', col_description(c.oid, a.attnum)) order by a.attnum)
  from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped`)

// -1, for null would make `character` of a `bpchar`, and that is one letter.
const BASE_TYPES = `(select coalesce(json_object_agg(a.attname, case when t.typtype <> 'd' then format_type(t.oid, -1) else (
    with recursive made_of (oid) as (select t.oid union all select d.typbasetype from made_of m join pg_type d on d.oid = m.oid and d.typtype = 'd')
    select format_type(b.oid, -1) from made_of m join pg_type b on b.oid = m.oid and b.typtype <> 'd') end), '{}')
  from pg_attribute a join pg_type t on t.oid = a.atttypid where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)`

const TABLE_GRANTS = LIST(`select json_agg(g.entry order by g.number, g.position) from (
    select g.*, 0 as number from (${GRANTS(`coalesce(c.relacl, acldefault('r', c.relowner))`, 'null::name')}) g
    union all
    select g.*, a.attnum from pg_attribute a cross join lateral (${GRANTS('a.attacl', 'a.attname')}) g
    where a.attrelid = c.oid and a.attacl is not null and not a.attisdropped) g`)

const SEQUENCES = LIST(`select json_agg(json_build_object(
    'name', json_build_object('schema', n.nspname, 'name', s.relname), 'column', a.attname, 'identity', d.deptype = 'i',
    'type', format_type(q.seqtypid, null), 'start', q.seqstart::text, 'increment', q.seqincrement::text, 'min', q.seqmin::text,
    'max', q.seqmax::text, 'cache', q.seqcache::text, 'cycle', q.seqcycle, 'unlogged', case when current_setting('server_version_num')::int >= 150000 then s.relpersistence = 'u' end, 'comment', ${COMMENT('s.oid', 'pg_class')},
    'grants', ${LIST(`select json_agg(g.entry order by g.position)
                from (${GRANTS(`coalesce(s.relacl, acldefault('s', s.relowner))`, 'null::name')}) g`)},
    'defaultGrantees', ${defaultGranteesQuery('S', 'c.relowner', 's.relnamespace')}) order by a.attnum)
  from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S' join pg_namespace n on n.oid = s.relnamespace
  join pg_sequence q on q.seqrelid = s.oid join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
  where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.deptype in ('a', 'i')`)

const CONSTRAINTS = LIST(`select json_agg(json_build_object(
    'name', k.conname, 'type', case k.contype when 'p' then 'primary key' when 'u' then 'unique' when 'c' then 'check'
      when 'f' then 'foreign key' when 'x' then 'exclusion' when 'n' then 'not null' else 'trigger' end,
    'definition', pg_get_constraintdef(k.oid), 'columns', ${COLUMN_NAMES('c.oid', 'k.conkey')},
    'included', ${COLUMN_NAMES('c.oid', `(i.indkey::int2[])[i.indnkeyatts:]`)},
    'deferrable', k.condeferrable, 'deferred', k.condeferred, 'validated', k.convalidated, 'noInherit', k.connoinherit,
    'references', case when k.contype = 'f' then (select json_build_object('schema', rn.nspname, 'name', r.relname)
      from pg_class r join pg_namespace rn on rn.oid = r.relnamespace where r.oid = k.confrelid) end,
    'pairs', case when k.contype = 'f' then ${COLUMN_PAIRS('k')} end,
    'ontoPartitioned', exists (select from pg_partitioned_table p where p.partrelid = k.confrelid),
    'comment', ${COMMENT('k.oid', 'pg_constraint')}) order by k.contype, k.conname)
  from pg_constraint k left join pg_index i on i.indexrelid = k.conindid and k.contype in ('p', 'u', 'x')
  where k.conrelid = c.oid and k.contype <> 't' and ${IS_NO_CLONE('k')}`)

const OPERATORS =
  LIST(`select json_agg(${orderingOf('oc')} order by o.place) from unnest(i.indclass::oid[]) with ordinality o (class, place)
  join pg_opclass oc on oc.oid = o.class where am.amname = 'btree'`)

const INDEXES = LIST(`select json_agg(json_build_object(
    'oid', x.oid::text, 'name', x.relname, 'definition', pg_get_indexdef(x.oid), 'tail', ${INDEX_TAIL('n', 'c')}, 'method', am.amname,
    'columns', ${COLUMN_NAMES('c.oid', `(i.indkey::int2[])[0:i.indnkeyatts - 1]`)},
    'included', ${COLUMN_NAMES('c.oid', `(i.indkey::int2[])[i.indnkeyatts:]`)},
    'operators', ${OPERATORS},
    'unique', i.indisunique, 'excludes', i.indisexclusion, 'primary', i.indisprimary, 'partial', i.indpred is not null, 'valid', i.indisvalid, 'clustered', i.indisclustered,
    'replicaIdentity', i.indisreplident,
    'constraint', (select k.conname from pg_constraint k where k.conindid = x.oid and k.conrelid = c.oid and k.contype in ('p', 'u', 'x')),
    'tablespace', ${TABLESPACE('x')},
    'statisticsTargets', ${LIST(`select json_agg(json_build_object('column', a.attnum, 'target', a.attstattarget) order by a.attnum)
        from pg_attribute a where a.attrelid = x.oid and a.attstattarget >= 0`)},
    'options', coalesce(x.reloptions, '{}'), 'extensions', ${EXTENSIONS('x.oid', 'pg_class')}, 'comment', ${COMMENT('x.oid', 'pg_class')}, 'bytes', pg_relation_size(x.oid)) order by x.oid)
  from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am am on am.oid = x.relam where i.indrelid = c.oid`)

const TRIGGERS = LIST(`select json_agg(json_build_object(${TRIGGER}) order by t.tgname)
  from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal`)

const POLICIES = LIST(
  `select json_agg(json_build_object(${POLICY('p')}) order by p.polname) from pg_policy p where p.polrelid = c.oid`,
)

const RULES = LIST(`select json_agg(json_build_object(${RULE}) order by r.rulename)
  from pg_rewrite r where r.ev_class = c.oid and r.rulename <> '_RETURN'`)

const STATISTICS = LIST(`select json_agg(json_build_object(
    'name', json_build_object('schema', n.nspname, 'name', e.stxname), 'definition', pg_get_statisticsobjdef(e.oid),
    'owner', pg_get_userbyid(e.stxowner), 'target', nullif(e.stxstattarget, -1),
    'comment', ${COMMENT('e.oid', 'pg_statistic_ext')}) order by n.nspname, e.stxname)
  from pg_statistic_ext e join pg_namespace n on n.oid = e.stxnamespace where e.stxrelid = c.oid`)

// PostgreSQL writes a row as a whole as column number 0, and prints it under the name the table has at that moment.
const WHOLE_ROW = (tree: string) => `${tree}::text like '%:varattno 0 %'`
const WHOLE_ROWS = LIST(`select json_agg(w.what order by w.what) from (
    select 'check ' || k.conname as what from pg_constraint k where k.conrelid = c.oid and ${WHOLE_ROW('k.conbin')}
    union all
    select 'index ' || x.relname from pg_index i join pg_class x on x.oid = i.indexrelid
    where i.indrelid = c.oid and (${WHOLE_ROW('i.indexprs')} or ${WHOLE_ROW('i.indpred')})) w`)

// A name that was made a constant when it was written (`default 'events'::regclass`) means this table, whatever it is called.
const HAS_ITSELF = (tree: string, relation: string) => `case when ${tree}::text like '%:consttype 2205 %'
  then position(quote_literal(format('%I.%I', n.nspname, c.relname)) || '::regclass' in pg_get_expr(${tree}, ${relation})) > 0 else false end`
const OWN_NAMES = LIST(`select json_agg(o.what order by o.what) from (
    select 'default of column ' || a.attname as what from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
    where d.adrelid = c.oid and ${HAS_ITSELF('d.adbin', `case when a.attgenerated = '' then 0 else c.oid end`)}
    union all
    select 'check ' || k.conname from pg_constraint k where k.conrelid = c.oid and k.contype = 'c' and ${HAS_ITSELF('k.conbin', 'c.oid')}
    union all
    select 'index ' || x.relname from pg_index i join pg_class x on x.oid = i.indexrelid
    where i.indrelid = c.oid and (${HAS_ITSELF('i.indexprs', 'c.oid')} or ${HAS_ITSELF('i.indpred', 'c.oid')})) o`)

const INHERITS_FROM = LIST(
  `select json_agg(h.inhparent::regclass::text order by h.inhseqno) from pg_inherits h where h.inhrelid = c.oid`,
)
const INHERITED_BY = LIST(
  `select json_agg(h.inhrelid::regclass::text order by h.inhrelid) from pg_inherits h where h.inhparent = c.oid and c.relkind <> 'p'`,
)

/** Before 15 a publication knew neither columns, nor filters, nor schemas. */
function publications(version: number): string {
  const columns =
    version < 150000 ? 'null' : `case when r.prattrs is not null then ${COLUMN_NAMES('c.oid', 'r.prattrs::int2[]')} end`
  const filter = version < 150000 ? 'null' : `pg_get_expr(r.prqual, r.prrelid)`
  const entry = (
    covers: string,
    columnList: string,
    rowFilter: string,
  ) => `json_build_object('name', p.pubname, 'owner', pg_get_userbyid(p.pubowner),
    'covers', '${covers}', 'viaRoot', p.pubviaroot, 'columns', ${columnList}, 'filter', ${rowFilter}) as entry, p.pubname`
  const ofSchema =
    version < 150000
      ? ''
      : `union all select ${entry('schema', 'null', 'null')} from pg_publication_namespace s join pg_publication p on p.oid = s.pnpubid where s.pnnspid = c.relnamespace and c.relpersistence = 'p'`
  return LIST(`select json_agg(u.entry order by u.pubname) from (
    select ${entry('table', columns, filter)} from pg_publication_rel r join pg_publication p on p.oid = r.prpubid where r.prrelid = c.oid and not p.puballtables
    union all select ${entry('all tables', 'null', 'null')} from pg_publication p
      where p.puballtables and c.relpersistence = 'p' and not exists (select from pg_publication_rel r where r.prpubid = p.oid and r.prrelid = c.oid)
    ${ofSchema}) u`)
}

// What names a table of a publication of all tables leaves it out.
const EXCEPTED_FROM = LIST(`select json_agg(p.pubname order by p.pubname)
  from pg_publication_rel r join pg_publication p on p.oid = r.prpubid where r.prrelid = c.oid and p.puballtables`)

/** The parts as a select list: `… as "columns", … as "indexes"`. */
export function tableParts(version: number): Sql {
  const parts: Record<string, string> = {
    kind: RELATION_KIND('c.relkind'),
    grants: TABLE_GRANTS,
    defaultGrantees: defaultGranteesQuery('r', 'c.relowner', 'c.relnamespace'),
    columns: COLUMNS,
    baseTypes: BASE_TYPES,
    sequences: SEQUENCES,
    constraints: CONSTRAINTS,
    indexes: INDEXES,
    triggers: TRIGGERS,
    constraintTriggers: CONSTRAINT_TRIGGERS,
    policies: POLICIES,
    rules: RULES,
    statistics: STATISTICS,
    publications: publications(version),
    exceptedFrom: EXCEPTED_FROM,
    inboundForeignKeys: INBOUND_FOREIGN_KEYS,
    views: VIEWS,
    functions: FUNCTIONS,
    otherRules: OTHER_RULES,
    otherPolicies: OTHER_POLICIES,
    otherTriggers: OTHER_TRIGGERS,
    otherDependents: OTHER_DEPENDENTS,
    wholeRows: WHOLE_ROWS,
    ownNames: OWN_NAMES,
    identityUsers: IDENTITY_USERS,
    inheritsFrom: INHERITS_FROM,
    inheritedBy: INHERITED_BY,
  }
  return join(Object.entries(parts).map(([name, query]) => sql`${raw(query)} as ${raw(`"${name}"`)}`))
}
