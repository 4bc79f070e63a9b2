import { readdir, readFile } from 'node:fs/promises'
import type { ClientBase } from 'pg'
import type { UmzugStorage } from 'umzug'
import { readAll } from '../db/query.ts'
import { inTransaction } from '../db/transaction.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import { ident, sql } from '../sql/sql.ts'
import { PACKAGE, VERSION } from '../package.ts'
import { assertReadable, assertTrusted, revokeGrants } from './trust.ts'

const MIGRATIONS = new URL('migrations/', PACKAGE)

/**
 * Migrates the journal in the given schema, creating the schema if necessary. One transaction under one lock:
 * concurrent migrations cannot interleave, and a failed migration leaves nothing, not even its record.
 *
 * @throws {EbbError} when the journal cannot be trusted, or was migrated by a newer version
 */
export async function migrateJournal(session: ClientBase, schema: string): Promise<void> {
  if (await isMigrated(session, schema)) return
  await inTransaction(session, {}, async () => {
    // A second migration waits for the first.
    await session.query("set local lock_timeout = '10s'")
    await session.query(sql`select pg_advisory_xact_lock(hashtextextended(${`ebb journal ${schema}`}, 0))`)
    const { rowCount } = await session.query(sql`select from pg_namespace where nspname = ${schema}`)
    if (rowCount === 0) await session.query(sql`create schema ${ident(schema)}`)
    // Before the first statement that would execute anything there.
    else await assertTrusted(session, schema)
    await session.query(`set local search_path to ${ident(schema).text}`)
    // Checked first: `if not exists` requires the privilege to create, even if there is nothing to create.
    if (!(await hasMigrations(session, schema)))
      await session.query(
        'create table migration (name text primary key, applied_at timestamptz not null default now())',
      )
    await assertKnown(session, schema)
    const made = await (await migrator(session)).up()
    if (made.length > 0) await revokeGrants(session, schema)
  })
}

/** Whether there is nothing to migrate: then nobody has to wait for a lock, not even for a moment. */
async function isMigrated(session: ClientBase, schema: string): Promise<boolean> {
  if (!(await hasMigrations(session, schema))) return false
  return (await assertUsable(session, schema)) === 'current'
}

class NewerJournalError extends EbbError {}

/**
 * Checks that what the journal says may be executed, and that this version knows it all.
 *
 * @throws {EbbError} when it cannot be trusted; when a newer version has migrated it, that is said instead, for what that
 * has put there looks like the work of strangers
 */
export async function assertUsable(session: ClientBase, schema: string): Promise<'current' | 'older'> {
  await assertTrusted(session, schema).catch(async (error: unknown) => {
    const known = assertReadable(session, schema).then(() => assertKnown(session, schema))
    throw await known.then(
      () => error,
      (other: unknown) => (other instanceof NewerJournalError ? other : error),
    )
  })
  return assertKnown(session, schema)
}

async function hasMigrations(session: ClientBase, schema: string): Promise<boolean> {
  const { rowCount } = await session.query(
    sql`select from pg_tables where schemaname = ${schema} and tablename = 'migration'`,
  )
  return rowCount === 1
}

/**
 * Checks that this version knows all migrations of the journal, and tells whether it has them all.
 *
 * @throws {EbbError} when a newer version has migrated it
 */
export async function assertKnown(session: ClientBase, schema: string): Promise<'current' | 'older'> {
  const known = await migrationNames()
  const applied = await appliedNames(session, schema)
  const newer = applied.filter((name) => !known.includes(name))
  if (newer.length === 0) return known.every((name) => applied.includes(name)) ? 'current' : 'older'
  throw new NewerJournalError(
    `the journal in schema ${schema} has been migrated by a newer version of Ebb (${newer.join(', ')}); this is ${VERSION}`,
    { state: NOTHING_CHANGED, next: 'Update Ebb: use that version or a later one.' },
    'objections',
  )
}

async function appliedNames(session: ClientBase, schema: string): Promise<string[]> {
  const applied = await readAll<{ name: string }>(
    session,
    sql`select name from ${ident(schema, 'migration')} order by name`,
  )
  return applied.map(({ name }) => name)
}

async function migrationNames(): Promise<string[]> {
  return (await readdir(MIGRATIONS)).filter((name) => name.endsWith('.sql')).sort()
}

// umzug takes 0.1 s to load, so it is loaded only when a journal is needed.
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
