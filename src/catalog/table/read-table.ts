import type { ClientBase } from 'pg'
import { UsageError } from '../../errors.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { ident, raw, sql, type Sql } from '../../sql/sql.ts'
import type { TableModel } from './table-model.ts'
import { ESTIMATED_ROWS, ROW_SECURITY } from './json-parts.ts'
import { tableParts } from './table-parts.ts'

/**
 * Where a written name leads, as PostgreSQL would resolve it for the role that
 * is connected: without a schema the search path of the role and database decides.
 *
 * @throws {UsageError} when there is no such relation
 */
export async function resolveTable(client: ClientBase, written: WrittenName): Promise<TableName> {
  const found = await findTable(client, written)
  if (found === undefined) throw await noSuchTable(client, written)
  return found
}

/** The same; undefined where there is no such relation. */
export function findTable(client: ClientBase, { schema, name }: WrittenName): Promise<TableName | undefined> {
  return schema === null ? onSearchPath(client, name) : inSchema(client, schema, name)
}

async function inSchema(client: ClientBase, schema: string, name: string): Promise<TableName | undefined> {
  return first(
    client,
    sql`
    select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname = ${name}`,
  )
}

// Sessions of ours have an empty search path; what the role would have had is read from its settings.
async function onSearchPath(client: ClientBase, name: string): Promise<TableName | undefined> {
  return first(
    client,
    sql`
    with setting as materialized (select reset_val as path from pg_settings where name = 'search_path'),
    part as (select trim(both from p.text) as text, p.position from setting, unnest(string_to_array(path, ',')) with ordinality p (text, position))
    select n.nspname as schema, c.relname as name
    from part join pg_namespace n on n.nspname = case
        when part.text in ('"$user"', '$user') then current_user::text
        when part.text like '"%"' then replace(substr(part.text, 2, length(part.text) - 2), '""', '"')
        else lower(part.text) end
    join pg_class c on c.relnamespace = n.oid and c.relname = ${name}
    order by part.position limit 1`,
  )
}

async function first(client: ClientBase, query: Sql): Promise<TableName | undefined> {
  return (await client.query<{ schema: string; name: string }>(query)).rows[0]
}

async function noSuchTable(client: ClientBase, { schema, name }: WrittenName): Promise<UsageError> {
  const { rows } = await client.query<TableName>(sql`
    select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where lower(c.relname) = lower(${name}) and c.relkind in ('r', 'p') and n.nspname <> 'pg_toast' limit 3`)
  const place =
    schema === null ? `a table ${ident(name).text} on the search path` : `a table ${display({ schema, name })}`
  const next =
    rows.length > 0
      ? `There is ${rows.map(display).join(', ')}: name it with its schema, in quotes where it has capitals.`
      : 'Check the spelling, the schema and the database in the connection string.'
  return new UsageError(`there is no ${place.slice(2)}`, next)
}

/** Everything about a relation, or undefined if it does not exist. `version` is `server_version_num`. */
export async function readTable(client: ClientBase, name: TableName, version: number): Promise<TableModel | undefined> {
  const query = sql`
    select c.oid::text as oid, json_build_object('schema', n.nspname, 'name', c.relname) as name,
      case c.relpersistence when 'p' then 'permanent' when 'u' then 'unlogged' else 'temporary' end as persistence,
      pg_get_userbyid(c.relowner) as owner, (select spcname from pg_tablespace where oid = c.reltablespace) as tablespace,
      (select amname from pg_am where oid = c.relam) as "accessMethod", c.reloftype <> 0 as typed,
      case when c.relispartition then (select h.inhparent::regclass::text from pg_inherits h where h.inhrelid = c.oid) end as "partitionOf",
      to_json(array(select unnest(c.reloptions) union all select 'toast.' || unnest(x.reloptions) from pg_class x where x.oid = c.reltoastrelid)) as options,
      case c.relreplident when 'd' then 'default' when 'n' then 'nothing' when 'f' then 'full' else 'index' end as "replicaIdentity",
      ${raw(ROW_SECURITY)} as "rowSecurity",
      obj_description(c.oid, 'pg_class') as comment, ${raw(ESTIMATED_ROWS('c'))} as "estimatedRows",
      case when c.relkind in ('r', 'p', 'm', 't') then json_build_object('heap', pg_relation_size(c.oid), 'indexes', pg_indexes_size(c.oid),
        'toast', coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0))
        else json_build_object('heap', 0, 'indexes', 0, 'toast', 0) end as size,
      case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as "partitionKey",
      (select e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e' limit 1) as extension,
      (select count(*)::int from pg_seclabel s where s.classoid = 'pg_class'::regclass and s.objoid = c.oid) as "securityLabels",
      array(select s.srsubid::text from pg_subscription_rel s where s.srrelid = c.oid) as subscriptions,
      ${tableParts(version)}
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${name.schema} and c.relname = ${name.name}`
  // Named, so that a session plans it once: planning takes longer than execution, and a swap reads it under lock.
  const { rows } = await client.query<TableModel>({ name: 'ebb table', text: query.text, values: query.values })
  return rows[0]
}

/**
 * The same of a relation that has been there a moment ago.
 *
 * @throws {UsageError} when it has gone in between
 */
export async function readPresentTable(client: ClientBase, name: TableName, version: number): Promise<TableModel> {
  const table = await readTable(client, name, version)
  if (table === undefined) throw vanished(name)
  return table
}

/** Somebody has been quicker: it was there when its name was looked up. */
export function vanished(name: TableName): UsageError {
  return new UsageError(`${display(name)} has just been dropped or renamed`, 'Check what happened to it.')
}
