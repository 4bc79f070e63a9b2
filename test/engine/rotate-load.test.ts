import { expect } from 'vitest'
import { planRotations, rotate } from '../../src/engine/commands/rotate.ts'
import { quoted } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { blockedBy } from '../support/blocked.ts'
import { test } from '../support/database.ts'
import { holdCursor, readThrough } from '../support/reads.ts'
import { until } from '../support/until.ts'
import { verifyWrites } from '../support/verify-writes.ts'
import { startWriters } from '../support/writers.ts'
import { leafOf, month, monthlyEvents, monthsOf, options, planOf, request, rotateOne } from './rotate-support.ts'

const LONGEST_WAIT_MS = 250

test('an application reading and writing all the time is not affected', async ({ database, judgeTimes }) => {
  const kinds = database.table('kinds')
  const session = await database.session('setup')
  await session.query(sql`create table ${quoted(kinds)} (kind int primary key)`)
  await session.query(sql`insert into ${quoted(kinds)} values (1)`)
  const columns = sql`id bigint generated always as identity, at timestamptz not null, token text, kind int default 1 references ${quoted(kinds)}, primary key (id, at)`
  const table = await monthlyEvents(database, -14, 1, 'events', columns)
  // Loads what a rotation needs: it happens in this process, and would be taken for a wait of the application's.
  await rotateOne(database, await monthlyEvents(database, -1, 1, 'another'), { keep: '1 month' })
  const { text } = sql`insert into ${quoted(table)} (token, at) values ($1, now())`
  const writers = await startWriters(database, {
    insert: (token) => ({ text, values: [token] }),
    reads: [readThrough(table, 'at'), holdCursor(sql`select * from ${quoted(table)}`)],
  })
  await until(() => writers.writes > 50)

  const rotated = await rotateOne(database, table, { keep: '2 months' })
  const during = writers.writes
  await until(() => writers.writes > during + 50)
  const report = await writers.stop()

  expect(rotated.failed).toEqual([])
  expect(rotated.retired).toHaveLength(12)
  expect(report.errors).toEqual([])
  await verifyWrites(session, table, 'token', report, 4)
  await judgeTimes(() => expect(report.longestWaitMs).toBeLessThan(LONGEST_WAIT_MS))
})

test('nobody waits long while rows leave a DEFAULT partition for one that is created', async ({
  database,
  judgeTimes,
}) => {
  const table = await monthlyEvents(database, -1, 1)
  const session = await database.session('setup')
  await session.query(sql`create table ${quoted(database.table('rest'))} partition of ${quoted(table)} default`)
  // Nearly as many as may be moved; the writers add some.
  const moved = 900
  const soon = sql`${month(1)} + interval '1 day'`
  await session.query(
    sql`insert into ${quoted(table)} (at, token) select ${soon}, repeat('x', 200) || n from generate_series(1, ${moved}::int) n`,
  )
  await rotateOne(database, await monthlyEvents(database, -1, 1, 'another'))
  const { text } =
    sql`insert into ${quoted(table)} (token, at) values ($1, case when random() < 0.1 then ${soon} else now() end)`
  const writers = await startWriters(database, {
    insert: (token) => ({ text, values: [token] }),
    reads: [readThrough(table, 'at')],
  })
  await until(() => writers.writes > 50)
  const rotated = await rotateOne(database, table)
  const during = writers.writes
  await until(() => writers.writes > during + 50)
  const report = await writers.stop()

  expect(rotated.failed).toEqual([])
  expect(rotated.created[0]!.moved).toBeGreaterThanOrEqual(moved)
  expect(report.errors).toEqual([])
  await verifyWrites(session, table, 'token', report, moved + 3)
  console.log(
    `${rotated.created[0]!.moved} rows left the DEFAULT partition: locked for ${Math.round(rotated.longestLockMs)} ms, the longest wait ${Math.round(report.longestWaitMs)} ms`,
  )
  await judgeTimes(() => expect(report.longestWaitMs).toBeLessThan(LONGEST_WAIT_MS))
})

test('a thousand partitions are rotated in seconds', async ({ database, judgeTimes }) => {
  const table = database.table('events')
  const session = await database.session('setup')
  await session.query(
    sql`create table ${quoted(table)} (id bigint generated always as identity, at timestamptz not null, primary key (id, at)) partition by range (at)`,
  )
  const leaf = quoted(leafOf(database, table, 'n')).text.replaceAll("'", "''")
  await session.query(`
    do $$ declare day timestamptz := date_trunc('day', now() at time zone 'UTC') at time zone 'UTC'; begin
      for n in 0..999 loop
        execute format('create table %s (like ${quoted(table).text} including all excluding identity)', replace('${leaf}', 'leaf n', 'leaf ' || n));
        execute format('alter table ${quoted(table).text} attach partition %s for values from (%L) to (%L)',
          replace('${leaf}', 'leaf n', 'leaf ' || n), day - make_interval(days => n), day - make_interval(days => n - 1));
        if n % 250 = 249 then commit; end if;
      end loop; end $$`)
  await session.query(
    sql`insert into ${quoted(table)} (at) select now() - make_interval(days => n) from generate_series(0, 999) n`,
  )

  const planMs = await timed(() =>
    planRotations(database.url, request({ tables: [table], keep: '700 days' }), options()),
  )
  const rotateMs = await timed(async () => {
    const report = await rotate(database.url, request({ tables: [table], keep: '700 days' }), options())
    expect(report.sets[0]!.failed).toEqual([])
    expect(report.sets[0]!.created).toHaveLength(14)
    expect(report.sets[0]!.retired).toHaveLength(299)
  })
  const idleMs = await timed(() => rotate(database.url, request({ tables: [table] }), options()))
  console.log(
    `1000 partitions: planned in ${planMs} ms, 14 made and 299 dropped in ${rotateMs} ms, nothing to do in ${idleMs} ms`,
  )
  await judgeTimes(() => {
    expect(planMs).toBeLessThan(5_000)
    expect(rotateMs).toBeLessThan(20_000)
  })
})

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return Math.round(performance.now() - began)
}

test('locks stated in the plan are the locks taken', async ({ database }) => {
  const kinds = database.table('kinds')
  const session = await database.session('setup')
  await session.query(sql`create table ${quoted(kinds)} (kind int primary key)`)
  const columns = sql`id bigint generated always as identity, at timestamptz not null, kind int references ${quoted(kinds)}, primary key (id, at)`
  const table = await monthlyEvents(database, -3, 1, 'events', columns)
  const plan = await planOf(database, table, { keep: '2 months' })
  const create = plan.create[0]!.step
  const [detach, drop] = plan.retire[0]!.steps
  const claims = (step: typeof detach, name: typeof table) =>
    step!.locks.find((lock) => lock.table.name === name.name)?.blocks ?? 'nothing'

  expect(claims(create, table)).toBe('nothing')
  expect(await blockedBy(database, table, create.statements)).toBe('nothing')
  expect(claims(create, kinds)).toBe('writes')
  expect(await blockedBy(database, kinds, create.statements)).toBe('writes')

  expect(claims(detach, table)).toBe('nothing')
  await session.query(raw(detach!.statements[0]!))
  expect(claims(drop, table)).toBe('nothing')
  expect(await blockedBy(database, table, drop!.statements)).toBe('nothing')
  expect(claims(drop, kinds)).toBe('reads and writes')
  expect(await blockedBy(database, kinds, drop!.statements)).toBe('reads and writes')
  expect(await monthsOf(database, table)).toEqual([-2, -1, 0])
})
