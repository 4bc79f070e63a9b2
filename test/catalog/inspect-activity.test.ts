import type pg from 'pg'
import { expect } from 'vitest'
import { readActivity, readLongTransactions } from '../../src/catalog/inspect-activity.ts'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { PATIENCE_MS } from '../support/until.ts'

test('long-running transactions, and whether they hold locks on the table', async ({ database }) => {
  const table = database.table('events')
  const client = await database.session('looks')
  await client.query(sql`create table ${quoted(table)} (id int)`.text)
  const [holder, bystander] = [await database.session('holder'), await database.session('bystander')]
  for (const session of [holder, bystander]) await session.query('begin; select 1')
  await holder.query(sql`lock table ${quoted(table)} in access share mode`.text)

  const found = await readLongTransactions(client, table, 0)
  expect(found.map(({ pid, onTable }) => [pid, onTable])).toEqual([
    [await backendPid(holder), true],
    [await backendPid(bystander), false],
  ])
  expect(found[0]).toMatchObject({ state: 'idle in transaction' })
  expect(found[0]?.who).toMatch(/^holder, /)
  expect(await readLongTransactions(client, table)).toEqual([])
})

test('write activity and last analyze, partitions included', async ({ database }) => {
  const table = database.table('events')
  const client = await database.session('looks')
  await client.query(sql`create table ${quoted(table)} (id int) partition by range (id)`.text)
  const leaf = quoted({ schema: table.schema, name: 'leaf' }).text
  await client.query(`create table ${leaf} partition of ${quoted(table).text} for values from (0) to (100)`)
  await client.query(sql`insert into ${quoted(table)} select generate_series(1, 10)`)
  await client.query(sql`delete from ${quoted(table)} where id > 7`)
  expect(await readActivity(client, table)).toMatchObject({ analyzedAt: null, vacuumedAt: null })
  if (database.version >= 150000) await client.query('select pg_stat_force_next_flush()')
  const activity = () => readActivity(client, table)
  await expect
    .poll(activity, { timeout: PATIENCE_MS })
    .toMatchObject({ inserted: 10, deleted: 3, deadRows: 3, liveRows: 7 })
  await client.query(sql`analyze ${quoted(table)}`.text)
  await expect.poll(async () => (await activity()).analyzedAt, { timeout: PATIENCE_MS }).toMatch(/^\d{4}-/)
  expect(await activity(), 'counted once, although the parent was analysed').toMatchObject({ deadRows: 3, liveRows: 7 })
})

async function backendPid(client: pg.Client): Promise<number | undefined> {
  return (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid
}
