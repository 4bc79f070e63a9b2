import { expect } from 'vitest'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { blockedBy, type Blocked } from './blocked.ts'
import { test } from './database.ts'
import { isWaiting, until } from './until.ts'

test.for<[string, Blocked, (table: string, leaf: string) => string[]]>([
  ['an insert', 'nothing', (table) => [`insert into ${table} values (1)`]],
  ['a validation', 'nothing', (table) => [`lock table ${table} in share update exclusive mode`]],
  ['an index', 'writes', (table) => [`create index on ${table} (id)`]],
  ['a lock on the only partition', 'reads and writes', (_, leaf) => [`lock table ${leaf}`]],
  ['a shared lock on the only partition', 'writes', (_, leaf) => [`lock table ${leaf} in share mode`]],
  ['a column', 'reads and writes', (table) => [`select`, `alter table ${table} add column more int`]],
])('%s blocks %s', async ([, blocks, statements], { database }) => {
  const app = await database.session('app')
  const table = database.table('parted')
  const leaf = database.table('leaf')
  await app.query(
    sql`create table ${quoted(table)} (id bigint not null, doubled bigint generated always as (id * 2) stored) partition by range (id)`,
  )
  await app.query(sql`create table ${quoted(leaf)} partition of ${quoted(table)} default`)

  expect(await blockedBy(database, table, statements(quoted(table).text, quoted(leaf).text))).toBe(blocks)
  expect((await app.query(sql`select from ${quoted(table)}`)).rowCount).toBe(0)
})

test('until reports what it waited for', async () => {
  await expect(until(() => false, { timeoutMs: 20 })).rejects.toThrow('waited 20 ms in vain for: () => false')
  await expect(until(() => false, { timeoutMs: 20, what: 'rain' })).rejects.toThrow('in vain for: rain')
  expect(await until(() => Promise.resolve(7))).toBe(7)
})

test('isWaiting detects a session waiting for a lock', async ({ database }) => {
  const observer = await database.session('observer')
  const waiter = await database.session('waiter')
  await observer.query('begin')
  await observer.query('select pg_advisory_xact_lock(1)')
  expect(await isWaiting(observer, 'waiter')).toBe(false)

  const waiting = waiter.query('select pg_advisory_xact_lock(1)')
  await until(() => isWaiting(observer, 'waiter'))
  await observer.query('commit')

  await waiting
})
