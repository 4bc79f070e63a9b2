import type { ClientBase } from 'pg'
import { takingBack } from '../db/savepoint.ts'
import { readAll, readAllPrepared, readOne } from '../db/query.ts'
import { codeOf, SQLSTATE } from '../db/sqlstate.ts'
import { LONGEST_NAME, sameName, type TableName } from '../sql/names.ts'
import { ident, raw, sql, type Sql } from '../sql/sql.ts'
import { IS_SUPERUSER } from './table/json-parts.ts'
import type { TableModel } from './table/table-model.ts'

/** The names that relations in a schema have; a new one must be none of them. */
export async function readTakenNames(client: ClientBase, schema: string): Promise<Set<string>> {
  const rows = await readAll<{ name: string }>(
    client,
    sql`
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema}
    union select e.stxname from pg_statistic_ext e join pg_namespace n on n.oid = e.stxnamespace where n.nspname = ${schema}
    union select t.typname from pg_type t join pg_namespace n on n.oid = t.typnamespace where n.nspname = ${schema}`,
  )
  return new Set(rows.map(({ name }) => name))
}

/** Longer than what distinguishes the partitions of a table, a number included. */
const LONGEST_SUFFIX = 30

/**
 * Of these, what the names of its partitions could meet: a schema may have a hundred thousand. All of them where the name
 * of the table is so long that it is cut for its partitions.
 */
export async function readCompanionNames(
  client: ClientBase,
  { schema, name }: TableName,
): Promise<ReadonlySet<string>> {
  if (Buffer.byteLength(name) > LONGEST_NAME - LONGEST_SUFFIX) return readTakenNames(client, schema)
  // As PostgreSQL orders names, byte by byte, a backtick follows an underscore.
  const [from, to] = [`${name}_`, `${name}\``]
  const rows = await readAllPrepared<{ name: string }>(
    client,
    sql`
    with n as (select oid from pg_namespace where nspname = ${schema})
    select c.relname as name from pg_class c, n where c.relnamespace = n.oid and c.relname >= ${from}::name and c.relname < ${to}::name
    union select e.stxname from pg_statistic_ext e, n where e.stxnamespace = n.oid and e.stxname >= ${from}::name and e.stxname < ${to}::name
    union select t.typname from pg_type t, n where t.typnamespace = n.oid and t.typname >= ${from}::name and t.typname < ${to}::name`,
  )
  return new Set(rows.map((row) => row.name))
}

/** What the connected role may do with a table. */
export interface Privileges {
  readonly actAsOwner: boolean
  readonly createInSchema: boolean
  readonly createTemporary: boolean
  /** Row-level security hides rows from this role: reading them all is an error then, and never a gap. */
  readonly rowsHidden: boolean
  readonly database: string
  /** Of the tables, views and publications that the conversion has to alter, those it may not. */
  readonly notOurs: readonly string[]
  /** Referenced tables on which a foreign key may not be made, or which may not be locked while it is. */
  readonly notReferable: readonly string[]
  /** Tablespaces of the table and its indexes in which we may not create any. Older versions have stored situations without. */
  readonly noSpaces?: readonly string[]
  /** What a copy does with a table, and we may not: an owner can take rights from itself. */
  readonly lacking: readonly string[]
  /** Default privileges of ours take something from ourselves: what we make we might not be able to use. */
  readonly defaultsTake: boolean
}

/** Asks for what a conversion needs, so that a missing privilege is known before anything has changed. */
export async function readPrivileges(client: ClientBase, table: TableModel): Promise<Privileges> {
  const owned = [
    ...table.views.map(({ name, owner }) => ({ what: `view ${name.schema}.${name.name}`, owner })),
    ...table.functions.map(({ signature, owner }) => ({ what: `function ${signature}`, owner })),
    ...table.inboundForeignKeys.map((key) => ({
      what: `table ${key.table.schema}.${key.table.name}`,
      owner: key.tableOwner,
    })),
    ...[...(table.otherRules ?? []), ...(table.otherPolicies ?? []), ...(table.otherTriggers ?? [])].map((one) => ({
      what: `${one.ofKind === 'view' ? 'view' : 'table'} ${one.of.schema}.${one.of.name}`,
      owner: one.owner,
    })),
    ...table.publications
      .filter(({ covers }) => covers === 'table')
      .map(({ name, owner }) => ({ what: `publication ${name}`, owner })),
    ...table.statistics.map(({ name, owner }) => ({ what: `statistics ${name.schema}.${name.name}`, owner })),
    ...table.grants
      .filter(({ grantor }) => grantor !== table.owner)
      .map(({ grantor, privilege }) => ({ what: `the right of ${grantor}, who granted ${privilege}`, owner: grantor })),
  ]
  const referenced = table.constraints.flatMap(({ references }) =>
    references === null || sameName(references, table.name) ? [] : [ident(references.schema, references.name).text],
  )
  const spaces = [table.tablespace, ...table.indexes.map(({ tablespace }) => tablespace)].flatMap(
    (space) => space ?? [],
  )
  return readOne<Privileges>(
    client,
    sql`
    select pg_has_role(current_user, ${table.owner}::name, 'usage') and ${maySetRole(sql`${table.owner}::name`)} as "actAsOwner",
      has_schema_privilege(${table.owner}::name, ${table.name.schema}, 'create') or ${raw(IS_SUPERUSER)} as "createInSchema",
      has_database_privilege(current_database(), 'temporary') as "createTemporary",
      row_security_active(${table.oid}::oid) as "rowsHidden", current_database()::text as database,
      array(select distinct o.what from unnest(${owned.map(({ what }) => what)}::text[], ${owned.map(({ owner }) => owner)}::name[]) o (what, owner)
            where not (pg_has_role(current_user, o.owner, 'usage') and ${maySetRole(sql`o.owner`)}) order by 1) as "notOurs",
      array(select distinct r from unnest(${referenced}::text[]) r
            where not (has_table_privilege(r::regclass, 'references') and has_table_privilege(r::regclass, 'update, delete, truncate')) order by 1) as "notReferable",
      array(select distinct s from unnest(${spaces}::text[]) s where not has_tablespace_privilege(s, 'create') order by 1) as "noSpaces",
      array(select p from unnest(array['SELECT', 'INSERT', 'DELETE', 'TRIGGER', 'REFERENCES']) with ordinality u (p, position)
            where not has_table_privilege(${table.oid}::oid, p) order by position) as lacking,
      not ${raw(IS_SUPERUSER)} and exists (
        select from pg_default_acl d where d.defaclrole = quote_ident(current_user)::regrole and d.defaclobjtype in ('r', 'S') and d.defaclnamespace = 0
          and (select count(*) from aclexplode(d.defaclacl) x where x.grantee = d.defaclrole) < case d.defaclobjtype when 'r' then 7 else 3 end) as "defaultsTake"`,
  )
}

// Giving something to its owner and granting in another's name need SET ROLE, which from 16 on can be withheld from a member.
function maySetRole(role: Sql): Sql {
  return sql`case when current_setting('server_version_num')::int < 160000 then pg_has_role(current_user, ${role}, 'member') else pg_has_role(current_user, ${role}, 'set') end`
}

/**
 * Statements with ON CONFLICT on this table that pg_stat_statements has seen;
 * null where it is not there or tells this role nothing.
 */
export async function readUpserts(client: ClientBase, table: TableModel): Promise<string[] | null> {
  const place = await readAll<{ schema: string }>(
    client,
    sql`
    select n.nspname as schema from pg_extension e join pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_stat_statements'`,
  )
  if (place[0] === undefined) return null
  const name = `%${table.name.name.replace(/[\\%_]/g, '\\$&')}%`
  const seen = sql`
    select left(regexp_replace(query, '\\s+', ' ', 'g'), 200) as query from ${ident(place[0].schema, 'pg_stat_statements')}
    where dbid = (select oid from pg_database where datname = current_database())
      and query ilike '%insert into%' and query ilike ${name} and query ilike '%on conflict%(%' limit 20`
  try {
    const rows = await takingBack(client, () => readAll<{ query: string }>(client, seen))
    return rows.map(({ query }) => query)
  } catch (error) {
    if (codeOf(error) !== SQLSTATE.objectNotInPrerequisiteState && codeOf(error) !== SQLSTATE.insufficientPrivilege)
      throw error
    return null
  }
}

/** Whether the server knows the time zone by this name; its calendar is the one that counts. */
export async function knowsTimezone(client: ClientBase, name: string): Promise<boolean> {
  const { known } = await readOne<{ known: boolean }>(
    client,
    sql`select exists (select from pg_timezone_names where name = ${name}) as known`,
  )
  return known
}

/** What counts on the primary key, in PostgreSQL's words: a view that has columns beside those it groups by. */
export function readKeyDependents(
  client: ClientBase,
  { oid }: TableModel,
): Promise<{ readonly description: string }[]> {
  return readAll(
    client,
    sql`
    select distinct coalesce((select pg_describe_object('pg_class'::regclass, r.ev_class, 0) from pg_rewrite r
        where d.classid = 'pg_rewrite'::regclass and r.oid = d.objid), pg_describe_object(d.classid, d.objid, 0)) as description
    from pg_constraint k join pg_depend d on d.refclassid = 'pg_constraint'::regclass and d.refobjid = k.oid and d.deptype = 'n'
    where k.conrelid = ${oid}::oid and k.contype = 'p' and d.classid in ('pg_rewrite'::regclass, 'pg_proc'::regclass) order by 1`,
  )
}
