import { COLUMN_DEFAULT, ENABLED, GRANTS, LIST, POLICY } from '../table/json-parts.ts'
import { INDEX_TAIL, TABLESPACE } from '../table/table-parts.ts'
import type { TableName } from '../../sql/names.ts'
import type { Grant, Policy, Trigger } from '../table/table-model.ts'

/** What a partition has by itself, and not from its parent. */
export type OwnPart =
  | {
      readonly kind: 'primary key' | 'unique' | 'exclusion' | 'check' | 'foreign key'
      readonly name: string
      /** With the storage parameters of its index. */
      readonly definition: string
      readonly validated: boolean
      /** Of its index. */
      readonly tablespace: string | null
      readonly references: TableName | null
    }
  | {
      readonly kind: 'index'
      readonly name: string
      readonly unique: boolean
      readonly tail: string
      readonly tablespace: string | null
    }
  | {
      readonly kind: 'trigger'
      readonly name: string
      /** PostgreSQL's text before and after the name of the table; `after` is null where they could not be told. */
      readonly before: string
      readonly after: string | null
      readonly enabled: Trigger['enabled']
    }
  /** Null where the parent has one, and the partition none. */
  | { readonly kind: 'default'; readonly name: string; readonly expression: string | null }
  | { readonly kind: 'not null'; readonly name: string }
  | { readonly kind: 'policy'; readonly name: string; readonly policy: Policy }
  | { readonly kind: 'grant'; readonly name: string; readonly grant: Grant }
  /** It is published by its own name. */
  | { readonly kind: 'publication'; readonly name: string; readonly mayAlter: boolean }

// For the partition `p` of namespace `pn`, under the parent `c` whose row in pg_partitioned_table is `t`.

// A check of the key alone has proven the bounds when the partition was attached: each has another.
const CONSTRAINTS = `select json_build_object('kind', case k.contype when 'p' then 'primary key' when 'u' then 'unique' when 'x' then 'exclusion'
      when 'c' then 'check' else 'foreign key' end, 'name', k.conname, 'validated', k.convalidated, 'tablespace', ${TABLESPACE('x')},
    'definition', case when k.contype in ('p', 'u') and x.reloptions is not null and not k.condeferrable
      then pg_get_constraintdef(k.oid) || ' WITH (' || array_to_string(x.reloptions, ', ') || ')' else pg_get_constraintdef(k.oid) end,
    'references', case when k.contype = 'f' then (select json_build_object('schema', rn.nspname, 'name', r.relname)
      from pg_class r join pg_namespace rn on rn.oid = r.relnamespace where r.oid = k.confrelid) end)
  from pg_constraint k left join pg_class x on x.oid = k.conindid and k.contype in ('p', 'u', 'x')
  where k.conrelid = p.oid and k.contype in ('p', 'u', 'x', 'c', 'f') and k.conparentid = 0 and k.coninhcount = 0
    and not exists (select from pg_index i where i.indexrelid = k.conindid and i.indisreplident and k.contype in ('p', 'u'))
    and not (k.contype = 'c' and (select array_agg(a.attname::text) from pg_attribute a where a.attrelid = p.oid and a.attnum = any (k.conkey))
      = (select array_agg(a.attname::text) from pg_attribute a where a.attrelid = c.oid and a.attnum = any (t.partattrs::int2[])))`

const INDEXES = `select json_build_object('kind', 'index', 'name', x.relname, 'unique', i.indisunique, 'tail', ${INDEX_TAIL('pn', 'p')}, 'tablespace', ${TABLESPACE('x')})
  from pg_index i join pg_class x on x.oid = i.indexrelid
  where i.indrelid = p.oid and i.indisvalid and not x.relispartition and not i.indisreplident
    and not exists (select from pg_constraint k where k.conindid = x.oid and k.conrelid = p.oid and k.contype in ('p', 'u', 'x'))`

const EVENTS = `concat_ws(' OR', case when g.tgtype & 4 > 0 then ' INSERT' end, case when g.tgtype & 8 > 0 then ' DELETE' end,
  case when g.tgtype & 16 > 0 then ' UPDATE' || coalesce(' OF ' || (select string_agg(quote_ident(a.attname), ', ' order by k.position)
    from unnest(g.tgattr::int2[]) with ordinality k (number, position) join pg_attribute a on a.attrelid = p.oid and a.attnum = k.number), '') end,
  case when g.tgtype & 32 > 0 then ' TRUNCATE' end)`

/** By which Ebb notices writes to a partition while it is moved or archived: it makes no difference to its siblings. */
export const WRITE_TRIGGER = 'ebb_archived_write'

const TRIGGERS = `select json_build_object('kind', 'trigger', 'name', g.tgname, 'enabled', ${ENABLED('g.tgenabled')}, 'before', d.start,
    'after', case when starts_with(pg_get_triggerdef(g.oid), d.start || d.place) then substr(pg_get_triggerdef(g.oid), 1 + length(d.start || d.place)) end)
  from pg_trigger g cross join lateral (select format('CREATE %sTRIGGER %I %s%s ON ', case when g.tgconstraint <> 0 then 'CONSTRAINT ' else '' end,
      g.tgname, case when g.tgtype & 2 > 0 then 'BEFORE' else 'AFTER' end, ${EVENTS}) as start, format('%I.%I', pn.nspname, p.relname) as place) d
  where g.tgrelid = p.oid and not g.tgisinternal and g.tgparentid = 0 and g.tgname <> '${WRITE_TRIGGER}'`

const COLUMNS = (of: string, where: string) => `select json_build_object(${of})
  from pg_attribute a join pg_attribute b on b.attrelid = c.oid and b.attname = a.attname and not b.attisdropped
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum left join pg_attrdef e on e.adrelid = b.attrelid and e.adnum = b.attnum
  where a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped and ${where}`

const DEFAULTS = COLUMNS(
  `'kind', 'default', 'name', a.attname, 'expression', ${COLUMN_DEFAULT('a', 'd')}`,
  `a.attgenerated = '' and b.attidentity = '' and ${COLUMN_DEFAULT('a', 'd')} is distinct from ${COLUMN_DEFAULT('b', 'e')}`,
)
const NOT_NULL = COLUMNS(`'kind', 'not null', 'name', a.attname`, 'a.attnotnull and not b.attnotnull')

const POLICIES = `select json_build_object('kind', 'policy', 'name', p2.polname, 'policy', json_build_object(${POLICY('p2')})) from pg_policy p2 where p2.polrelid = p.oid`

// Those of the owner come with the partition; those of the parent were for the table, when the history still was it.
// What is granted without a list of grants is the owner's.
const ALL_GRANTS = (r: string) => `(select to_jsonb(y.entry) as entry from (${GRANTS(`${r}.relacl`, 'null::name')}) y
  union all select to_jsonb(y.entry) from pg_attribute a cross join lateral (${GRANTS('a.attacl', 'a.attname')}) y
    where a.attrelid = ${r}.oid and a.attacl is not null and not a.attisdropped)`
const OWN_GRANTS = `select json_build_object('kind', 'grant', 'name', y.entry ->> 'privilege', 'grant', y.entry) from ${ALL_GRANTS('p')} y (entry)
  where y.entry ->> 'grantee' is distinct from pg_get_userbyid(p.relowner)
    and y.entry not in (select w.entry from ${ALL_GRANTS('c')} w (entry))`

const PUBLICATIONS = `select json_build_object('kind', 'publication', 'name', b.pubname, 'mayAlter', pg_has_role(current_user, b.pubowner, 'usage'))
  from pg_publication_rel r join pg_publication b on b.oid = r.prpubid where r.prrelid = p.oid and not b.puballtables`

/** A list of `OwnPart`. Of a partition that is partitioned itself, or foreign, nothing is said. */
export const OWN_PARTS = `case when p.relkind = 'r' then ${LIST(
  `select json_agg(o.part) from (${[CONSTRAINTS, INDEXES, TRIGGERS, DEFAULTS, NOT_NULL, POLICIES, OWN_GRANTS, PUBLICATIONS].join(' union all ')}) o (part)`,
)} else '[]' end`
