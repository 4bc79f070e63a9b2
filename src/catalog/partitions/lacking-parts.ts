import type { ClientBase } from 'pg'
import { readAll } from '../../db/session.ts'
import { raw, sql } from '../../sql/sql.ts'
import { IS_KEY_OF } from '../references/foreign-key.ts'
import { INDEX_TAIL } from '../table/table-parts.ts'

/** What a partitioned table has, and a table that is to be attached to it does not. */
export interface LackingPart {
  readonly name: string
  /** For people: `index at_idx USING btree (at)`. */
  readonly what: string
  /** A statement that adds it while it is detached, `%s` being its name; null where there is none. */
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
    with c as (select * from pg_class where oid = ${parent}::oid), d as (select * from pg_class where oid = ${detached}::oid),
    ours as (select a.* from pg_attribute a join c on a.attrelid = c.oid where a.attnum > 0 and not a.attisdropped),
    theirs as (select a.* from pg_attribute a join d on a.attrelid = d.oid where a.attnum > 0 and not a.attisdropped),
    our_index as (${raw(INDEXES_OF('c'))}), their_index as (${raw(INDEXES_OF('d'))})
    select o.attname as name, format('column %I %s', o.attname, format_type(o.atttypid, o.atttypmod)) as what,
      case when not exists (select from theirs t where t.attname = o.attname) and o.attgenerated = ''
        then format('alter table %%s add column %I %s', o.attname, format_type(o.atttypid, o.atttypmod)) end as statement
    from ours o where not exists (select from theirs t where t.attname = o.attname and t.atttypid = o.atttypid
      and t.atttypmod = o.atttypmod and t.attcollation = o.attcollation and t.attgenerated = o.attgenerated)
    union all
    select t.attname, format('a state without column %I', t.attname), format('alter table %%s drop column %I', t.attname)
    from theirs t where not exists (select from ours o where o.attname = t.attname)
    union all
    select o.attname, format('NOT NULL of %I', o.attname), format('alter table %%s alter column %I set not null', o.attname)
    from ours o join theirs t on t.attname = o.attname and o.attnotnull and not t.attnotnull
    union all
    select o.attname, format('identity of %I in its own partitions (PostgreSQL 17 and later would not give it to them, and not detach it again)', o.attname), null
    from ours o join d on d.relkind = 'p' and o.attidentity <> '' and current_setting('server_version_num')::int >= 170000
      and exists (select from pg_inherits where inhparent = d.oid)
    union all
    select k.conname, format('constraint %I %s', k.conname, pg_get_constraintdef(k.oid)),
      format('alter table %%s add constraint %I %s', k.conname, pg_get_constraintdef(k.oid))
    from c join pg_constraint k on k.conrelid = c.oid
    where ((k.contype = 'c' and not k.connoinherit) or (${raw(IS_KEY_OF('c.oid'))}))
      and not exists (select from pg_constraint u join d on u.conrelid = d.oid where u.contype = k.contype
        and (u.contype = 'f' or u.conname = k.conname) and (u.convalidated or not k.convalidated)
        and pg_get_constraintdef(u.oid) = pg_get_constraintdef(k.oid))
    union all
    select o.name, format('index %I %s', o.name, o.tail), case when o.key is null
      then format('create %sindex concurrently on %%s %s', case when o.indisunique then 'unique ' else '' end, o.tail)
      else format('alter table %%s add %s', o.key) end
    from our_index o where not exists (select from their_index t where t.indisunique = o.indisunique and t.tail = o.tail
      and t.key is not distinct from o.key)`,
  )
}
