import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kysely, Migrator, PostgresDialect, sql as kyselySql, type Migration } from 'kysely'
import createKnex, { type Knex } from 'knex'
import { runner } from 'node-pg-migrate'
import pg from 'pg'
import { describe, expect } from 'vitest'
import { partition } from '../../src/index.ts'
import { test, type Database } from '../support/database.ts'
import { isWaiting, until } from '../support/until.ts'

// Ebb as a guest in frameworks that keep a transaction or a lock while they call it: they would wait for each other.

const ADD_COLUMN = 'alter table events add column kind text'

async function createEvents(database: Database): Promise<void> {
  const setup = await database.session('setup')
  await setup.query('create table events (id bigint generated always as identity primary key, at timestamptz not null)')
  await setup.query(`insert into events (at) select now() - n * interval '1 day' from generate_series(60, 1, -1) n`)
}

function convert({ url }: Database) {
  return partition(url, { table: 'events', by: 'at', every: 'month', execute: true })
}

/** The end of a pool does not wait for its connections to be closed: the server may close them first. */
function pool(database: Database, name: string): pg.Pool {
  const connections = new pg.Pool({ connectionString: database.url, application_name: name })
  return connections.on('connect', (client) => client.on('error', () => {}))
}

/** A promise that is kept from elsewhere. */
class Deferred {
  resolve!: () => void
  readonly promise = new Promise<void>((resolve) => (this.resolve = resolve))
}

/** The next deployment waits for the lock of this one. */
async function isBehind(database: Database): Promise<void> {
  const look = await database.session('look')
  await until(() => isWaiting(look, 'second'))
}

async function migrateKysely(database: Database, name: string, disableTransactions: boolean, up: Migration['up']) {
  const db = new Kysely({ dialect: new PostgresDialect({ pool: pool(database, name) }) })
  const provider = { getMigrations: async () => ({ '1': { up } }) }
  const { error } = await new Migrator({ db, provider, disableTransactions }).migrateToLatest()
  await db.destroy()
  return error
}

async function migrateKnex(database: Database, name: string, up: (knex: Knex) => Promise<unknown>): Promise<unknown> {
  const knex = createKnex({
    client: 'pg',
    connection: { connectionString: database.url, application_name: name },
    log: { warn: () => {}, error: () => {} },
  })
  const migrationSource = {
    getMigrations: async () => ['1'],
    getMigrationName: (name: string) => name,
    getMigration: async () => ({ up, down: async () => {} }),
  }
  const failure = await knex.migrate.latest({ migrationSource }).then(
    () => undefined,
    (error: unknown) => error,
  )
  await knex.destroy()
  return failure
}

async function migrateWithRunner(database: Database, up: () => Promise<unknown>): Promise<unknown> {
  const dir = await mkdtemp(join(tmpdir(), 'ebb-runner-'))
  const hooks = globalThis as { ebbTestUp?: () => Promise<unknown> }
  hooks.ebbTestUp = up
  await writeFile(join(dir, '1_alter.mjs'), `export const up = (pgm) => pgm.sql('${ADD_COLUMN}')\n`)
  await writeFile(join(dir, '2_convert.mjs'), `export const up = () => globalThis.ebbTestUp()\n`)
  try {
    const databaseUrl = { connectionString: database.url, application_name: 'first' }
    await runner({
      databaseUrl,
      dir,
      direction: 'up',
      migrationsTable: 'pgmigrations',
      singleTransaction: true,
      log: () => {},
    })
  } catch (error) {
    return error
  } finally {
    await rm(dir, { recursive: true })
  }
  return undefined
}

const ownTransaction = {
  kind: 'failed',
  message: expect.stringMatching(
    /^this call waits for pid \d+ \(first, .*idle in transaction.*a connection of this process/,
  ) as string,
}

describe.concurrent('a transaction that is open around the migration', () => {
  test('of knex ends the call', async ({ database }) => {
    await createEvents(database)
    const failure = migrateKnex(database, 'first', async (knex) => {
      await knex.raw(ADD_COLUMN)
      await convert(database)
    })
    expect(await failure).toMatchObject(ownTransaction)
  })

  test('of Kysely ends the call', async ({ database }) => {
    await createEvents(database)
    const failure = migrateKysely(database, 'first', false, async (db) => {
      await kyselySql.raw(ADD_COLUMN).execute(db)
      await convert(database)
    })
    expect(await failure).toMatchObject(ownTransaction)
  })

  test('of node-pg-migrate, which is one for all pending migrations, ends the call', async ({ database }) => {
    await createEvents(database)
    expect(await migrateWithRunner(database, () => convert(database))).toMatchObject(ownTransaction)
  })
})

describe.concurrent('two deployments at once: the first ends, and the second goes on where it was', () => {
  const eachForTheOther = {
    kind: 'try later',
    message: expect.stringMatching(/^this call waits for pid \d+ \(second, .*; that for pid \d+ \(first, /) as string,
  }

  test('with knex', async ({ database }) => {
    await createEvents(database)
    const begun = new Deferred()
    const first = migrateKnex(database, 'first', async () => {
      begun.resolve()
      await isBehind(database)
      await convert(database)
    })
    await begun.promise
    expect(await migrateKnex(database, 'second', () => convert(database))).toBeUndefined()
    expect(await first).toMatchObject(eachForTheOther)
    await expectOneRun(database)
  })

  test('with Kysely, also without transactions', async ({ database }) => {
    await createEvents(database)
    const begun = new Deferred()
    const first = migrateKysely(database, 'first', true, async () => {
      begun.resolve()
      await isBehind(database)
      await convert(database)
    })
    await begun.promise
    expect(await migrateKysely(database, 'second', true, () => convert(database).then(() => {}))).toBeUndefined()
    expect(await first).toMatchObject(eachForTheOther)
    await expectOneRun(database)
  })
})

async function expectOneRun(database: Database): Promise<void> {
  const { rows } = await database.admin('select id, command, status from ebb.run')
  expect(rows).toEqual([{ id: '1', command: 'partition', status: 'done' }])
}
