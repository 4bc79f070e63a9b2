import { expect } from 'vitest'
import { rollback } from '../../src/engine/runs/runs.ts'
import { quoted } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { split } from '../support/commands.ts'
import { test } from '../support/database.ts'
import { quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { verifyWrites } from '../support/verify-writes.ts'
import { startWriters } from '../support/writers.ts'
import { readThrough } from '../support/reads.ts'
import { addMonths, countOf, leafOf, month, monthlyEvents, monthsOf, rotateOne } from './rotate-support.ts'
import { splitOrder } from './split-support.ts'

test('a DEFAULT partition with many rows: they get partitions, while others write and read', async ({ database }) => {
  const columns = raw(
    'id bigint generated always as identity, at timestamptz not null, token text, primary key (id, at)',
  )
  const table = await monthlyEvents(database, -3, 1, 'events', columns)
  await database.admin(sql`drop table ${quoted(leafOf(database, table, 0))}`)
  const fallback = database.table('fallback')
  const session = await database.session('setup')
  await session.query(sql`create table ${quoted(fallback)} partition of ${quoted(table)} default`)
  await session.query(sql`
    insert into ${quoted(table)} (at, token) select ${month(0)} + n * interval '1 minute', 'now ' || n from generate_series(1, 2000) n
    union all values ('1970-01-01'::timestamptz, 'old'), (${month(-5)}, 'before')`)
  expect((await rotateOne(database, table)).plan!.objections).toMatchObject([{ code: 'default-rows' }])
  const before = await countOf(database, table)

  const { text } = sql`insert into ${quoted(table)} (token, at) values ($1, now())`
  const writers = await startWriters(database, {
    insert: (token) => ({ text, values: [token] }),
    reads: [readThrough(table, 'at')],
  })
  await until(() => writers.writes > 50)
  await split(database.url, written(table), splitOrder({ partition: { schema: null, name: fallback.name } }), quietly())
  const during = writers.writes
  await until(() => writers.writes > during + 50)
  const report = await writers.stop()
  expect(report.errors).toEqual([])
  await verifyWrites(session, table, 'token', report, before)
  expect(await monthsOf(database, table)).toEqual(['DEFAULT', -5, -3, -2, -1, 0, 1, 2, 3])
  const rest = await session.query(
    sql`select token from ${quoted({ ...table, name: `${table.name}_default` })} order by 1`,
  )
  expect(rest.rows).toEqual([{ token: 'old' }])
  expect((await rotateOne(database, table)).created).toEqual([])
})

test('is rolled back with the writes made since, unless partitions were added', async ({ database }) => {
  const table = await monthlyEvents(database, -1, 1)
  const session = await database.session('setup')
  const fallback = database.table('fallback')
  await session.query(sql`create table ${quoted(fallback)} partition of ${quoted(table)} default`)
  await session.query(
    sql`insert into ${quoted(table)} (at, token) values (${month(2)}, 'ahead'), ('1970-01-01', 'old')`,
  )
  const order = splitOrder({ partition: { schema: null, name: fallback.name } })
  const { runId } = await split(database.url, written(table), order, quietly())
  expect(await monthsOf(database, table)).toEqual(['DEFAULT', -1, 0, 1, 2, 3])
  await session.query(
    sql`insert into ${quoted(table)} (at, token) values (${month(2)}, 'since'), ('1971-01-01', 'since'), (now(), 'since')`,
  )
  const count = await countOf(database, table)
  const added = await addMonths(session, database, table, 7, 8)
  await expect(rollback(database.url, { runId }, quietly())).rejects.toThrow('were added since')
  await session.query(sql`drop table ${quoted(added)}`)
  const last = await rollback(database.url, { runId }, quietly()).catch((error: unknown) => error)
  if (last instanceof Error) throw last
  expect(await monthsOf(database, table)).toEqual(['DEFAULT', -1, 0])
  expect(await countOf(database, table)).toBe(count)
  expect(await countOf(database, fallback)).toBe(4)
})
