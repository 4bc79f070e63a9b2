import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { describe, expect, onTestFinished } from 'vitest'
import { LOCK_LIMITS } from '../../src/engine/locks/short-locks.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { partition, rebuild } from '../support/commands.ts'
import { startPgBouncer } from '../support/pgbouncer.ts'
import { purgeRequest, purgeRows } from '../support/purging.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { isWaiting, until } from '../support/until.ts'
import { monthlyEvents, rotateOne } from './rotate-support.ts'

// Whoever calls us waits for us: what its connection holds, we must not wait for. PostgreSQL sees no deadlock there.

/** With the deadline it fails otherwise, and says something else. */
const limits = { ...LOCK_LIMITS, standstillMs: 300, deadlineMs: 15_000 }
const byId = monthly({ by: 'id', every: { kind: 'ids', ids: 10_000n }, expireBy: 'created_at' })
const byTime = monthly()
const everything = { keep: null, transport: 'server', jobs: 1, noArchive: false, retireAfter: null } as const

async function createTable(database: Database): Promise<TableName> {
  const events = database.table('events')
  const setup = await database.session('setup')
  await setup.query(sql`
    create table ${quoted(events)} (id bigint generated always as identity primary key, created_at timestamptz not null)`)
  await setup.query(sql`
    insert into ${quoted(events)} (created_at) select now() - n * interval '1 day' from generate_series(300, 1, -1) n`)
  await setup.end()
  return events
}

/** What a framework does before it calls us. */
async function inTransaction(database: Database, statement: string): Promise<pg.Client> {
  const caller = await database.session('framework')
  await caller.query('begin')
  await caller.query(statement)
  return caller
}

/** Another deployment, that waits for the lock of the first. */
async function nextDeployment(database: Database): Promise<void> {
  const next = await database.session('next deployment')
  next.query('select pg_advisory_lock(1)').catch(() => {}) // where the test has failed before, it is ended
  await until(async () => isWaiting(await database.session('look'), 'next deployment'))
}

describe.concurrent('the transaction that the call is made in', () => {
  test('has written to a table whose lock is needed', async ({ database }) => {
    const events = await createTable(database)
    const caller = await inTransaction(database, sql`select from ${quoted(events)} limit 1`.text)
    const call = () => partition(database.url, written(events), byId, quietly({ lockLimits: limits }))

    const failure = await call().catch((error: unknown) => error)

    expect(failure).toMatchObject({
      name: 'EbbError',
      kind: 'failed',
      message: expect.stringMatching(
        /^this call waits for pid \d+ \(framework, \w+\), idle in transaction for \d+ s: select .*a connection of this process/,
      ) as string,
      advice: { next: expect.stringContaining('transaction: false') as string },
    })
    await caller.query('commit')
    expect((await call()).runId).toBe('1')
  })

  test('has locked the table as a whole', async ({ database }) => {
    const events = await createTable(database)
    await inTransaction(database, sql`alter table ${quoted(events)} add column kind text`.text)

    await expect(partition(database.url, written(events), byId, quietly({ lockLimits: limits }))).rejects.toMatchObject(
      { kind: 'failed', message: expect.stringMatching(/^this call waits for.*alter table/) as string },
    )
  })

  test('has written to a table on which an index is built', async ({ database }) => {
    const events = await createTable(database)
    const caller = await inTransaction(database, sql`insert into ${quoted(events)} (created_at) values (now())`.text)
    const call = () => partition(database.url, written(events), byTime, quietly({ lockLimits: limits }))

    await expect(call()).rejects.toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(/^this call waits for.*insert/) as string,
    })
    await caller.query('commit')
    expect((await call()).runId).toBe('1')
  })

  test('has a snapshot from before the copy', async ({ database }) => {
    const events = await createTable(database)
    const caller = await database.session('framework')
    await caller.query('begin isolation level repeatable read')
    await caller.query('select 1')

    await expect(
      rebuild(database.url, written(events), everything, quietly({ lockLimits: limits })),
    ).rejects.toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(/^this call waits for.*select 1/) as string,
    })
    await caller.query('commit')
  })

  test('has locked the table against the writes of a purge', async ({ database }) => {
    const events = await createTable(database)
    await inTransaction(database, sql`lock table ${quoted(events)} in share mode`.text)

    await expect(purgeRows(database, events, purgeRequest('id < 10'), { lockLimits: limits })).rejects.toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(/^this call waits for.*in share mode/) as string,
    })
  })

  test('reads a partition that is to be detached', async ({ database }) => {
    const table = await monthlyEvents(database, -4, 1)
    await inTransaction(database, sql`select from ${quoted(table)} limit 1`.text)

    const { failed } = await rotateOne(database, table, { keep: '2 months' }, { lockLimits: limits })

    expect(failed.map(({ error }) => error)).toMatchObject([
      { kind: 'failed', message: expect.stringMatching(/^this call waits for pid \d+ \(framework/) as string },
      { kind: 'failed' },
    ])
  })
})

describe.concurrent('two deployments: one waits for the lock of the other, which waits for us', () => {
  const chain =
    /^this call waits for pid \d+ \(next deployment, .*waiting for a lock .*pg_advisory_lock.*; that for pid \d+ \(framework, \w+\), idle/

  test('whose snapshot an index build waits for', async ({ database }) => {
    const events = await createTable(database)
    // As a framework without transactions has it: idle, with a lock of its session.
    const caller = await database.session('framework')
    await caller.query('select pg_advisory_lock(1)')
    await nextDeployment(database)
    const call = () => partition(database.url, written(events), byTime, quietly({ lockLimits: limits }))

    await expect(call()).rejects.toMatchObject({ kind: 'try later', message: expect.stringMatching(chain) as string })
    await caller.query('select pg_advisory_unlock(1)')
    expect((await call()).runId).toBe('1')
  })

  test('whose snapshot is older than a copy', async ({ database }) => {
    const events = await createTable(database)
    const caller = await inTransaction(database, 'select pg_advisory_xact_lock(1)')
    await nextDeployment(database)
    const call = () => rebuild(database.url, written(events), everything, quietly({ lockLimits: limits }))

    await expect(call()).rejects.toMatchObject({ kind: 'try later', message: expect.stringMatching(chain) as string })
    await caller.query('commit')
    expect((await call()).runId).toBe('1')
  })
})

test('the transaction that the call is made in comes through a proxy, so that it may be of another program', async ({
  database,
  needs,
}) => {
  const events = await createTable(database)
  const url = await startPgBouncer(needs('pgbouncer'), database, 'session')
  const caller = new pg.Client({ connectionString: url })
  await caller.connect()
  await caller.query('begin')
  await caller.query(sql`select from ${quoted(events)} limit 1`.text)

  await expect(partition(url, written(events), byId, quietly({ lockLimits: limits }))).rejects.toMatchObject({
    kind: 'try later',
    message: expect.stringContaining('a connection of this user from this address') as string,
  })
  await caller.end()
})

test('a transaction of another program is waited for', async ({ database }) => {
  const events = await createTable(database)
  const script = `
    const client = new (require('pg').Client)({ connectionString: process.argv[1] })
    client.connect()
      .then(() => client.query('begin'))
      .then(() => client.query(process.argv[2]))
      .then(() => console.log('holding'))
    process.stdin.once('data', () => client.query('commit').then(() => process.exit()))`
  const statement = sql`insert into ${quoted(events)} (created_at) values (now())`.text
  const other = spawn('node', ['-e', script, database.url, statement], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void other.kill())
  await once(other.stdout, 'data')
  const options = quietly({ lockLimits: limits })
  let ended: unknown
  const converting = partition(database.url, written(events), byId, options).then(
    (result) => (ended = result),
    (error: unknown) => (ended = error),
  )

  await until(() => options.events.some(({ type }) => type === 'waiting'))
  await setTimeout(5 * limits.standstillMs)
  expect(ended).toBeUndefined()
  other.stdin.write('commit\n')
  expect(await converting).toMatchObject({ runId: '1' })
})
