import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { ident, literal, sql, type Sql } from '../../src/sql/sql.ts'
import { AWFUL_SCHEMA } from './awful-names.ts'

/** The role to whom the tests' databases belong: it may log in, and nothing else. */
export const OWNER = 'ebb_owner'

/** A server made ready for databases of tests. Plain data: it travels to the workers. */
export interface Ground {
  /** The administrator's. */
  readonly url: string
  /** What every test's database is a copy of. */
  readonly template: string
  /** As in server_version_num: 170010. */
  readonly version: number
}

/** Makes the owner and the template. */
export async function prepareGround(url: string): Promise<Ground> {
  const template = `ebb_template_${randomBytes(4).toString('hex')}`
  await once(url, async (client) => {
    await createOwner(client)
    await run(client, sql`create database ${ident(template)} owner ${ident(OWNER)}`)
  })
  await once(at(url, { database: template }), async (client) => {
    await run(client, sql`create schema ${ident(AWFUL_SCHEMA)} authorization ${ident(OWNER)}`)
    await run(client, sql`grant usage on schema ${ident(AWFUL_SCHEMA)} to public`) // as public itself has it
    // From 15 on nobody but the database's owner creates in public, and not every server starts out with an empty template1.
    await run(client, sql`grant create on schema public to ${ident(OWNER)}`)
  })
  return once(url, async (client) => {
    // A copy fails while somebody is connected to its template.
    await run(client, sql`alter database ${ident(template)} allow_connections false`)
    const { rows } = await client.query<{ version: number }>(
      `select current_setting('server_version_num')::int as version`,
    )
    return { url, template, version: rows[0]!.version }
  })
}

/** Takes the template and, where no other run on the same server needs it, the owner away. */
export async function clearGround(ground: Ground): Promise<void> {
  await once(ground.url, async (client) => {
    await run(client, sql`drop database ${ident(ground.template)}`)
    await run(client, sql`drop role ${ident(OWNER)}`).catch(unless('2BP01')) // dependent_objects_still_exist
  })
}

/** The same server by another role or in another database. Test roles have their name as password. */
export function at(url: string, change: { role?: string; database?: string }): string {
  const changed = new URL(url)
  if (change.database !== undefined) changed.pathname = `/${encodeURIComponent(change.database)}`
  if (change.role !== undefined) changed.username = changed.password = encodeURIComponent(change.role)
  return changed.href
}

/** One connection for one errand. */
export async function once<T>(url: string, errand: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'test support' })
  await client.connect()
  try {
    return await errand(client)
  } finally {
    await client.end()
  }
}

async function createOwner(client: pg.Client): Promise<void> {
  const attributes = sql`login password ${literal(OWNER)}`
  await run(client, sql`create role ${ident(OWNER)} ${attributes}`).catch(
    unless('42710', '23505'), // duplicate_object; unique_violation when another run creates it in the same moment
  )
  // An administrator who is no superuser gives databases only to roles that he is a member of.
  await run(
    client,
    sql`do $$ begin
      if not (select rolsuper from pg_roles where rolname = current_user)
      then execute format('grant %I to %I', ${literal(OWNER)}, current_user);
      end if;
    end $$`,
  )
}

// DDL takes no parameters, so its text is complete.
async function run(client: pg.Client, statement: Sql): Promise<void> {
  await client.query(statement.text)
}

function unless(...sqlstates: string[]): (error: Error & { code?: string }) => void {
  return (error) => {
    if (!sqlstates.includes(error.code ?? '')) throw error
  }
}
