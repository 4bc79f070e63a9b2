import type { ClientBase } from 'pg'
import { readAll } from '../../db/query.ts'
import type { TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { TablePattern } from '../../sql/table-pattern.ts'

/** A relation whose name matches a pattern. */
export interface MatchingRelation {
  readonly name: TableName
  readonly kind: 'table' | 'view' | 'materialized view' | 'foreign table'
  /** The tables that it is a partition of, at any depth. */
  readonly partitionOf: readonly TableName[]
}

/**
 * The relations that a pattern matches, in the order of their names, without those of PostgreSQL itself and the tables of the journal.
 * Without a schema, of those that the search path leads to, like `resolveTable`.
 */
export async function readMatchingRelations(
  client: ClientBase,
  { schema, name }: TablePattern,
  journalSchema: string,
): Promise<MatchingRelation[]> {
  return readAll<MatchingRelation>(
    client,
    sql`
    with setting as materialized (select reset_val as path from pg_settings where name = 'search_path'),
    part as (select trim(both from p.text) as text, p.position from setting, unnest(string_to_array(path, ',')) with ordinality p (text, position)),
    place as (
      select n.oid, n.nspname, min(part.position) as position
      from pg_namespace n left join part on n.nspname = case
        when part.text in ('"$user"', '$user') then current_user::text
        when part.text like '"%"' then replace(substr(part.text, 2, length(part.text) - 2), '""', '"')
        else lower(part.text) end
      where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', ${journalSchema})
        and case when ${schema}::text is null then part.position is not null else n.nspname like ${schema} end
      group by n.oid, n.nspname)
    select * from (
      select ${schema}::text is null and row_number() over (partition by c.relname order by p.position) > 1 as hidden,
        json_build_object('schema', p.nspname, 'name', c.relname) as name,
        case c.relkind when 'r' then 'table' when 'p' then 'table' when 'v' then 'view' when 'm' then 'materialized view' else 'foreign table' end as kind,
        array(select json_build_object('schema', an.nspname, 'name', a.relname)
          from pg_partition_ancestors(c.oid) up join pg_class a on a.oid = up.relid join pg_namespace an on an.oid = a.relnamespace
          where up.relid <> c.oid) as "partitionOf"
      from place p join pg_class c on c.relnamespace = p.oid
      where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname like ${name}) found
    where not hidden
    order by name ->> 'schema', name ->> 'name'`,
  )
}
