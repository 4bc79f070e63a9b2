import type { ClientBase } from 'pg'
import { readAll } from '../../db/query.ts'
import { raw, sql } from '../../sql/sql.ts'
import { IS_KEY_OF } from '../references/foreign-key.ts'
import { INDEX_TAIL } from '../table/table-parts.ts'

/** What a partitioned table has, and a table that is to be attached to it does not. */
export interface LackingPart {
  readonly name: string
  /** For people: `index at_idx USING btree (at)`. */
  readonly what: string
  /** Statements that add it while it is detached; null where there are none. */
  readonly statement: string | null
}

const INDEXES_OF = (table: string) => `select x.relname as name, i.indisunique, ${INDEX_TAIL('n', 'r')} as tail,
    (select pg_get_constraintdef(k.oid) from pg_constraint k where k.conindid = x.oid and k.conrelid = r.oid and k.contype in ('p', 'u', 'x')) as key
  from ${table} r join pg_namespace n on n.oid = r.relnamespace join pg_index i on i.indrelid = r.oid join pg_class x on x.oid = i.indexrelid
  where i.indisvalid`

/**
 * What attaching would refuse (columns, NOT NULL, checks), or make under lock: an index would be built, and a foreign key
 * validated while nobody can write to the table that it references.
 */
export async function readLackingParts(client: ClientBase, parent: string, detached: string): Promise<LackingPart[]> {
  return readAll<LackingPart>(
    client,
    sql`
    with c as (select * from pg_class where oid = ${parent}::oid),
    d as (select e.*, format('alter table %I.%I', n.nspname, e.relname) as alter, format('%I.%I', n.nspname, e.relname) as place
      from pg_class e join pg_namespace n on n.oid = e.relnamespace where e.oid = ${detached}::oid),
    ours as (select a.*, format_type(a.atttypid, a.atttypmod) || case when a.attcollation <> y.typcollation
        then (select format(' collate %I.%I', n.nspname, l.collname) from pg_collation l join pg_namespace n on n.oid = l.collnamespace where l.oid = a.attcollation)
        else '' end as type,
        (select pg_get_expr(v.adbin, v.adrelid) from pg_attrdef v where v.adrelid = a.attrelid and v.adnum = a.attnum) as value
      from pg_attribute a join c on a.attrelid = c.oid join pg_type y on y.oid = a.atttypid where a.attnum > 0 and not a.attisdropped),
    theirs as (select a.* from pg_attribute a join d on a.attrelid = d.oid where a.attnum > 0 and not a.attisdropped),
    our_index as (${raw(INDEXES_OF('c'))}), their_index as (${raw(INDEXES_OF('d'))})
    select o.attname as name, format('column %I %s', o.attname, o.type) as what,
      case when o.attidentity <> '' then null
        when o.attgenerated <> '' then format('%s add column %I %s generated always as (%s) %s', d.alter, o.attname, o.type, o.value, case o.attgenerated when 's' then 'stored' else 'virtual' end)
        else format('%s add column %I %s', d.alter, o.attname, o.type) || coalesce(' default ' || o.value || case when o.attnotnull then ' not null' else '' end, '') end as statement
    from ours o, d where not exists (select from theirs t where t.attname = o.attname)
    union all
    select o.attname, format('column %I as %s', o.attname, o.type),
      case when o.attgenerated = '' and t.attgenerated = '' then format('%s alter column %I type %s', d.alter, o.attname, o.type) end
    from ours o join theirs t on t.attname = o.attname, d
    where (t.atttypid, t.atttypmod, t.attcollation, t.attgenerated) is distinct from (o.atttypid, o.atttypmod, o.attcollation, o.attgenerated)
    union all
    select t.attname, format('a state without column %I', t.attname), format('%s drop column %I', d.alter, t.attname)
    from theirs t, d where not exists (select from ours o where o.attname = t.attname)
    union all
    select o.attname, format('NOT NULL of %I', o.attname), format('%s alter column %I set not null', d.alter, o.attname)
    from ours o join theirs t on t.attname = o.attname and o.attnotnull and not t.attnotnull, d
    union all
    select o.attname, format('identity of %I in its own partitions (PostgreSQL 17 and later would not give it to them, and not detach it again)', o.attname), null
    from ours o join d on d.relkind = 'p' and o.attidentity <> '' and current_setting('server_version_num')::int >= 170000
      and exists (select from pg_inherits where inhparent = d.oid)
    union all
    select k.conname, format('constraint %I %s', k.conname, pg_get_constraintdef(k.oid)),
      case when k.contype = 'f' and k.convalidated
        then format('%1$s add constraint %2$I %3$s not valid; %1$s validate constraint %2$I', d.alter, k.conname, pg_get_constraintdef(k.oid))
        else format('%s add constraint %I %s', d.alter, k.conname, pg_get_constraintdef(k.oid)) end
    from c join pg_constraint k on k.conrelid = c.oid, d
    where ((k.contype = 'c' and not k.connoinherit) or (${raw(IS_KEY_OF('c.oid'))}))
      and not exists (select from pg_constraint u join d on u.conrelid = d.oid where u.contype = k.contype
        and (u.contype = 'f' or u.conname = k.conname) and (u.convalidated or not k.convalidated)
        and pg_get_constraintdef(u.oid) = pg_get_constraintdef(k.oid))
    union all
    select o.name, format('index %I %s', o.name, o.tail), case when o.key is null
      then format('create %sindex concurrently on %s %s', case when o.indisunique then 'unique ' else '' end, d.place, o.tail)
      else format('%s add %s', d.alter, o.key) end
    from our_index o, d where not exists (select from their_index t where t.indisunique = o.indisunique and t.tail = o.tail
      and t.key is not distinct from o.key)`,
  )
}
