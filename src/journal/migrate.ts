import { readdir, readFile } from 'node:fs/promises'
import type { ClientBase } from 'pg'
import type { UmzugStorage } from 'umzug'
import { inTransaction, readAll } from '../db/session.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { ident, sql } from '../sql/sql.ts'
import { VERSION } from '../version.ts'
import { assertTrusted, revokeGrants } from './trust.ts'

const MIGRATIONS = new URL('../../migrations/', import.meta.url)

/**
 * Brings the journal's tables up to date in the schema given, making the
 * schema if need be. All in one transaction under one lock: two runs at once
 * cannot interleave, and a migration that fails leaves nothing, not even its record.
 *
 * @throws {EbbError} when the journal cannot be trusted, or a newer version has worked with it
 */
export async function migrateJournal(session: ClientBase, schema: string): Promise<void> {
  await inTransaction(session, {}, async () => {
    // Whoever comes second waits for the first.
    await session.query("set local lock_timeout = '10s'")
    await session.query(sql`select pg_advisory_xact_lock(hashtextextended(${`ebb journal ${schema}`}, 0))`)
    const { rowCount } = await session.query(sql`select from pg_namespace where nspname = ${schema}`)
    if (rowCount === 0) await session.query(sql`create schema ${ident(schema)}`)
    // Before the first statement that would execute anything there.
    else await assertTrusted(session, schema)
    await session.query(`set local search_path to ${ident(schema).text}`)
    // Asked for first: `if not exists` alone wants the right to create, even where there is nothing to be created.
    const { rowCount: tables } = await session.query(
      sql`select from pg_tables where schemaname = ${schema} and tablename = 'migration'`,
    )
    if (tables === 0)
      await session.query(
        'create table migration (name text primary key, applied_at timestamptz not null default now())',
      )
    await assertKnown(session, schema)
    const made = await (await migrator(session)).up()
    if (made.length > 0) await revokeGrants(session, schema)
  })
}

/**
 * Asks whether this version knows all that has been done to the journal.
 *
 * @throws {EbbError} when a newer one has brought it up to date
 */
export async function assertKnown(session: ClientBase, schema: string): Promise<void> {
  const known = await migrationNames()
  const applied = await readAll<{ name: string }>(
    session,
    sql`select name from ${ident(schema, 'migration')} order by name`,
  )
  const newer = applied.filter(({ name }) => !known.includes(name))
  if (newer.length === 0) return
  throw new EbbError(
    `the journal in schema ${schema} has been brought up to date by a newer version of Ebb (${newer.map(({ name }) => name).join(', ')}), and this is ${VERSION}`,
    { state: NOTHING_CHANGED, next: 'Use that version, or a later one.' },
    'objections',
  )
}

async function migrationNames(): Promise<string[]> {
  return (await readdir(MIGRATIONS)).filter((name) => name.endsWith('.sql')).sort()
}

// umzug takes 0.1 s to load, so it is loaded when a journal is needed and not by every command.
async function migrator(session: ClientBase) {
  const { Umzug } = await import('umzug')
  const names = await migrationNames()
  return new Umzug({
    migrations: names.map((name) => ({
      name,
      up: async () => session.query(await readFile(new URL(name, MIGRATIONS), 'utf8')),
    })),
    storage: appliedMigrations(session),
    logger: undefined,
  })
}

function appliedMigrations(session: ClientBase): UmzugStorage {
  return {
    async executed() {
      const { rows } = await session.query<{ name: string }>('select name from migration order by name')
      return rows.map(({ name }) => name)
    },
    async logMigration({ name }) {
      await session.query(sql`insert into migration (name) values (${name})`)
    },
    async unlogMigration({ name }) {
      await session.query(sql`delete from migration where name = ${name}`)
    },
  }
}
