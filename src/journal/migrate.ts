import { readdir, readFile } from 'node:fs/promises'
import type { ClientBase } from 'pg'
import type { UmzugStorage } from 'umzug'
import { inTransaction } from '../db/session.ts'
import { ident, sql } from '../sql/sql.ts'

const MIGRATIONS = new URL('../../migrations/', import.meta.url)

/**
 * Brings the journal's tables up to date in the schema given, making the
 * schema if need be. All in one transaction under one lock: two runs at once
 * cannot interleave, and a migration that fails leaves nothing, not even its record.
 */
export async function migrateJournal(session: ClientBase, schema: string): Promise<void> {
  await inTransaction(session, {}, async () => {
    // Whoever comes second waits for the first.
    await session.query("set local lock_timeout = '10s'")
    await session.query(sql`select pg_advisory_xact_lock(hashtextextended(${`ebb journal ${schema}`}, 0))`)
    const { rowCount } = await session.query(sql`select from pg_namespace where nspname = ${schema}`)
    if (rowCount === 0) await session.query(sql`create schema ${ident(schema)}`)
    await session.query(`set local search_path to ${ident(schema).text}`)
    // Asked for first: `if not exists` alone wants the right to create, even where there is nothing to be created.
    const { rowCount: tables } = await session.query(
      sql`select from pg_tables where schemaname = ${schema} and tablename = 'migration'`,
    )
    if (tables === 0)
      await session.query(
        'create table migration (name text primary key, applied_at timestamptz not null default now())',
      )
    await (await migrator(session)).up()
  })
}

// umzug takes 0.1 s to load, so it is loaded when a journal is needed and not by every command.
async function migrator(session: ClientBase) {
  const { Umzug } = await import('umzug')
  const names = (await readdir(MIGRATIONS)).filter((name) => name.endsWith('.sql')).sort()
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
