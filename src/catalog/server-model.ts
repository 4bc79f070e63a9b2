import type { ClientBase } from 'pg'
import { TELLING_FUNCTIONS, TELLING_ROLES, type Looks } from '../text/flavours.ts'
import { readOne, readOnePrepared } from '../db/query.ts'
import { sql } from '../sql/sql.ts'

/** The server, the role and the moment, as far as a plan depends on them. */
export interface ServerModel {
  /** `server_version_num`: 170010. */
  readonly version: number
  readonly versionText: string
  /** What `version()` says, by which other engines are known. Older versions have stored plans without. */
  readonly engine?: string
  readonly inRecovery: boolean
  readonly readOnly: boolean
  /** The server's clock, in microseconds since the epoch, as text: the only clock that decides anything. */
  readonly now: string
  readonly database: string
  readonly role: string
  readonly superuser: boolean
  readonly mayCreateSchema: boolean
  readonly journalExists: boolean
  /** Whether this role may read and write what is in the journal's schema, and make there what is not. */
  readonly journalUsable: boolean
  readonly journalSchema: string
  /** Publications that send on whatever there is, so also what Ebb makes for itself. */
  readonly publishingAll: readonly PublicationOfAll[]
  /** Triggers and foreign keys do their work in sessions of this role (session_replication_role). */
  readonly firesTriggers: boolean
  /** What transactions change is counted (track_counts). */
  readonly countsChanges: boolean
  readonly deadlockTimeoutMs: number
}

export interface PublicationOfAll {
  readonly name: string
  readonly tables: boolean
  /** From 19 on. */
  readonly sequences: boolean
}

/** Reads the server as the connected role sees it. */
export async function readServer(client: ClientBase, journalSchema: string): Promise<ServerModel> {
  return readOnePrepared<ServerModel>(
    client,
    sql`
    select current_setting('server_version_num')::int as version, current_setting('server_version') as "versionText", version() as engine,
      pg_is_in_recovery() as "inRecovery", current_setting('default_transaction_read_only')::bool as "readOnly",
      (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as now, current_database()::text as database,
      current_user::text as role, (select rolsuper from pg_roles where rolname = current_user) as superuser,
      has_database_privilege(current_database(), 'create') as "mayCreateSchema",
      exists (select from pg_namespace where nspname = ${journalSchema}) as "journalExists",
      coalesce((select has_schema_privilege(n.oid, 'usage') and coalesce(
          (select bool_and(has_table_privilege(c.oid, p)) from pg_class c, unnest(array['select', 'insert', 'update', 'delete']) p
           where c.relnamespace = n.oid and c.relkind = 'r'),
          has_schema_privilege(n.oid, 'create'))
        from pg_namespace n where n.nspname = ${journalSchema}), true) as "journalUsable",
      ${journalSchema} as "journalSchema",
      (select coalesce(json_agg(json_build_object('name', p.name, 'tables', p.tables, 'sequences', p.sequences) order by p.name), '[]')
        from (select p.pubname as name, p.puballtables as tables,
            coalesce((to_jsonb(p) ->> 'puballsequences')::bool, false) as sequences from pg_publication p) p
        where p.tables or p.sequences) as "publishingAll",
      current_setting('session_replication_role') <> 'replica' as "firesTriggers", current_setting('track_counts')::bool as "countsChanges",
      (select setting::int from pg_settings where name = 'deadlock_timeout') as "deadlockTimeoutMs"`,
  )
}

/** Identifies the cluster, and its copies; null where the role may not read it. */
export async function readSystemIdentifier(client: ClientBase): Promise<string | null> {
  const { may } = await readOne<{ may: boolean }>(
    client,
    sql`select has_function_privilege('pg_control_system()', 'execute') as may`,
  )
  if (!may) return null
  const { id } = await readOne<{ id: string }>(
    client,
    sql`select system_identifier::text as id from pg_control_system()`,
  )
  return id
}

/** What the server shows of itself, by which services are known. */
export function readLooks(client: ClientBase): Promise<Looks> {
  return readOne<Looks>(
    client,
    sql`select version() as version,
      array(select rolname::text from pg_roles where rolname = any (${TELLING_ROLES}) order by 1) as roles,
      array(select distinct proname::text from pg_proc where proname = any (${TELLING_FUNCTIONS}) order by 1) as functions`,
  )
}
