import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql, type Sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { countOf, leafOf, month, monthlyEvents, monthsOf, planOf, rotateOne } from './rotate-support.ts'

const COLUMNS = raw(
  'id bigint generated always as identity, at timestamptz not null, token text, twice bigint generated always as (id * 2) stored, primary key (id, at)',
)

/** `events` up to now, with a DEFAULT partition that has `rows` of the next month. */
async function withDefault(
  database: Database,
  rows: number,
  { columns = COLUMNS, until: end = 1 }: { columns?: Sql; until?: number } = {},
): Promise<{ table: TableName; fallback: TableName }> {
  const table = await monthlyEvents(database, -2, end, 'events', columns)
  const fallback = database.table('fallback')
  const session = await database.session('setup')
  await session.query(sql`create table ${quoted(fallback)} partition of ${quoted(table)} default`)
  await session.query(
    sql`insert into ${quoted(table)} (at, token) select ${month(end)} + n * interval '1 second', 'row ' || n from generate_series(1, ${rows}::int) n`,
  )
  return { table, fallback }
}

/** A function that records for which rows triggers fire. */
async function audited(database: Database): Promise<string> {
  const audit = quoted(database.table('audit'))
  const code = quoted(database.table('audited'))
  const session = await database.session('audit')
  await session.query(sql`create table ${audit} (op text, token text)`)
  await session.query(
    `create function ${code.text}() returns trigger language plpgsql as $$ begin insert into ${audit.text} values (tg_op, coalesce(old.token, new.token)); return null; end $$`,
  )
  return code.text
}

async function statesOf(database: Database, table: TableName): Promise<string[]> {
  const { rows } = await database.admin<{ state: string }>(
    sql`select tgname || ' ' || tgenabled::text as state from pg_trigger where tgrelid = ${quoted(table).text}::regclass and not tgisinternal order by 1`,
  )
  return rows.map(({ state }) => state)
}

describe('rows of a partition about to be made', () => {
  test('that are few are moved into it, and to the application nothing has happened', async ({ database }) => {
    const { table, fallback } = await withDefault(database, 20)
    const code = await audited(database)
    const session = await database.session('triggers')
    const on = async (relation: TableName, name: string, events: string) =>
      session.query(
        sql`create trigger ${raw(name)} after ${raw(events)} on ${quoted(relation)} for each row execute function ${raw(code)}()`,
      )
    await on(table, 'of_all', 'insert or update or delete')
    await on(fallback, 'own_always', 'delete')
    await on(fallback, 'own_off', 'delete')
    await session.query(sql`alter table ${quoted(fallback)} enable always trigger own_always`)
    await session.query(sql`alter table ${quoted(fallback)} disable trigger own_off`)
    const before = (await database.admin(sql`select * from ${quoted(table)} order by id`)).rows
    const states = await statesOf(database, fallback)
    const old = await database.session('old snapshot')
    await old.query('begin isolation level repeatable read')
    await old.query('select from pg_class limit 1')

    const report = await rotateOne(database, table)
    expect(report.failed).toEqual([])
    expect(report.created.map(({ moved }) => moved)).toEqual([20, 0, 0])
    expect(await monthsOf(database, table)).toEqual(['DEFAULT', -2, -1, 0, 1, 2, 3])
    expect(await countOf(database, fallback)).toBe(0)
    expect((await database.admin(sql`select * from ${quoted(table)} order by id`)).rows).toEqual(before)
    expect(await countOf(database, database.table('audit'))).toBe(0)
    expect(await statesOf(database, fallback)).toEqual(states)
    const seen = await old.query(sql`select * from ${quoted(table)} order by id`)
    expect(seen.rows).toEqual(before)
    await old.query('commit')
    expect((await rotateOne(database, table)).created).toEqual([])
  })

  test('are never missed and never in the way, while others write and read', async ({ database }) => {
    // The transaction that moves them takes 0.1 s: long enough to be met by everything.
    const slow = quoted(database.table('slow'))
    const columns = raw(
      `id bigint generated always as identity, at timestamptz not null, token text check (${slow.text}(token))`,
    )
    await (
      await database.session('slow')
    ).query(
      `create function ${slow.text}(text) returns boolean language plpgsql as $$ begin
        if $1 = 'row 1' and current_setting('application_name') like 'ebb%' then perform pg_sleep(0.1); end if; return true; end $$`,
    )
    const { table, fallback } = await withDefault(database, 20, { columns })
    let written = await countOf(database, table)
    const stop = new AbortController()
    const missed: string[] = []
    const loop = async (
      name: string,
      once: (session: Awaited<ReturnType<typeof database.session>>) => Promise<void>,
    ) => {
      const session = await database.session(name)
      while (!stop.signal.aborted)
        await once(session).catch((error: unknown) => {
          missed.push(String(error))
        })
    }
    const loops = [1, 2].flatMap((n) => [
      loop(`writer ${n}`, async (session) => {
        await session.query(
          sql`insert into ${quoted(table)} (at, token) values (${month(1)} + interval '2 days', 'new')`,
        )
        written++
        await sleep(10) // a quick machine would have more than are moved by the time they are counted
      }),
      loop(`reader ${n}`, async (session) => {
        const least = written
        const { rows } = await session.query<{ n: number }>(sql`select count(*)::int as n from ${quoted(table)}`)
        if (rows[0]!.n < least) missed.push(`${rows[0]!.n} of ${least}`)
      }),
    ])
    const others = Promise.all(loops)
    await until(() => written > 60)
    const report = await rotateOne(database, table)
    const during = written
    await until(() => written > during + 20)
    stop.abort()
    await others
    expect(report.failed).toEqual([])
    expect(report.created).toHaveLength(3)
    expect(report.created[0]!.moved).toBeGreaterThan(20)
    expect(missed).toEqual([])
    expect(await countOf(database, table)).toBe(written)
    expect(await countOf(database, fallback)).toBe(0)
  })

  test('that are many are left where they are: ebb split moves them; other partitions are made', async ({
    database,
  }) => {
    const { table, fallback } = await withDefault(database, 1001)
    const plan = await planOf(database, table)
    expect(plan.objections).toMatchObject([
      { code: 'default-rows', fix: expect.stringContaining('ebb split') as string },
    ])
    expect(plan.notes.join()).toContain('has rows that no partition was made for')
    const report = await rotateOne(database, table)
    expect(report.failed).toEqual([])
    expect(await monthsOf(database, table)).toEqual(['DEFAULT', -2, -1, 0, 2, 3])
    expect(await countOf(database, fallback)).toBe(1001)
  })

  test('are not moved where a foreign key or a publication would act on it', async ({ database }) => {
    const { table, fallback } = await withDefault(database, 5)
    const session = await database.session('setup')
    const child = database.table('child')
    await session.query(
      sql`create table ${quoted(child)} (id bigint, at timestamptz, foreign key (id, at) references ${quoted(table)} on delete cascade)`,
    )
    await session.query(sql`insert into ${quoted(child)} select id, at from ${quoted(fallback)}`)
    await session.query(sql`create publication ${raw(`"p of ${table.schema}"`)} for table ${quoted(table)}`)
    const { objections } = (await rotateOne(database, table)).plan!
    expect(objections).toMatchObject([{ code: 'default-move' }])
    expect(objections[0]!.what).toMatch(/foreign key .* would act .*; publication .* would send/)
    expect(await countOf(database, child)).toBe(5)
    expect(await monthsOf(database, table)).toEqual(['DEFAULT', -2, -1, 0, 2, 3])
  })

  test('are where they were, if the server loses the session that moves them', async ({ database }) => {
    const slow = quoted(database.table('slow'))
    const columns = raw(
      `id bigint generated always as identity, at timestamptz not null, token text check (${slow.text}(token))`,
    )
    const setup = await database.session('slow')
    await setup.query(`create sequence ${slow.text}`)
    await setup.query(
      `create function ${slow.text}(text) returns boolean language plpgsql as $$ begin
        if current_setting('application_name') like 'ebb%' and nextval('${slow.text.replaceAll("'", "''")}') = 2 then
          perform pg_terminate_backend(pg_backend_pid()); end if; return true; end $$`,
    )
    const { table, fallback } = await withDefault(database, 5, { columns })
    const report = await rotateOne(database, table)
    expect(report.failed).toHaveLength(1)
    expect(await countOf(database, fallback)).toBe(5)
    const again = await rotateOne(database, table)
    expect(again.failed).toEqual([])
    expect(await countOf(database, fallback)).toBe(0)
    expect(await countOf(database, leafOf(database, table, 0))).toBeGreaterThan(0)
    expect(await countOf(database, table)).toBe(9)
  })
})

test('what takes long while the whole table is locked is given up, so that nobody waits for it', async ({
  database,
}) => {
  const { table, fallback } = await withDefault(database, 0)
  const slow = quoted(database.table('slow'))
  await database.admin(
    sql`create function ${slow}() returns event_trigger language plpgsql as $$ begin
      if current_setting('application_name') like 'ebb%' then perform pg_sleep(0.6); end if; end $$`,
  )
  const hasty = { lockLimits: { lockTimeoutMs: 50, workTimeoutMs: 1_000, deadlineMs: 100 } }
  const trigger = raw(`"slow of ${table.schema}"`)
  const rows = await countOf(database, table)
  await rotateOne(database, table)
  await database.admin(
    sql`create event trigger ${trigger} on ddl_command_start when tag in ('ALTER TABLE') execute function ${slow}()`,
  )
  const accept = [`code-of-others:${slow.text}()`]
  const { failed } = await rotateOne(database, table, { keep: '1 month', accept }, hasty)
  await database.admin(sql`drop event trigger ${trigger}`)
  expect(failed.map(({ error }) => error.message)).toEqual([
    expect.stringContaining('the work under the locks did not finish within 200 ms') as string,
  ])
  expect(await countOf(database, table)).toBe(rows)
  expect(await countOf(database, fallback)).toBe(0)
})

describe('a large DEFAULT partition', () => {
  /** More than is read under a lock, none of it in a month to come. */
  async function large(database: Database, end: number) {
    const { table, fallback } = await withDefault(database, 0, { until: end })
    const session = await database.session('large')
    await session.query(sql`alter table ${quoted(fallback)} alter token set storage plain`)
    await session.query(
      sql`insert into ${quoted(table)} (at, token) select '2001-01-01', repeat('x', 8000) from generate_series(1, 4200)`,
    )
    return { table, fallback }
  }

  const checksOf = async (database: Database, fallback: TableName) =>
    (
      await database.admin<{ name: string }>(
        sql`select conname || case when convalidated then '' else ' not valid' end as name from pg_constraint where conrelid = ${quoted(fallback).text}::regclass and contype = 'c'`,
      )
    ).rows.map(({ name }) => name)

  test('is not read under a lock: a CHECK excludes the range, and is dropped again', async ({ database }) => {
    const { table, fallback } = await large(database, 3)
    const seen: string[] = []
    const report = await rotateOne(
      database,
      table,
      { keep: '1 year' },
      { observer: (event) => void (event.type === 'step finished' && seen.push(event.step.key.split(':')[0]!)) },
    )
    expect(report.failed).toEqual([])
    expect(seen.slice(0, 4)).toEqual(['exclude', 'validate', 'create', 'admit'])
    expect(await checksOf(database, fallback)).toEqual([])
    expect(report.skipped[0]!.reason).toMatch(/oldest row is of 2001-01-01 .* ebb purge/)
    expect(await countOf(database, fallback)).toBe(4200)
  })

  test('is an objection where the range is so near that a CHECK would reject rows', async ({ database }) => {
    const { table, fallback } = await large(database, 1)
    await database.admin(sql`drop table ${quoted(leafOf(database, table, 0))}`)
    const report = await rotateOne(database, table)
    expect(report.plan!.objections).toMatchObject([
      { code: 'default-size', fix: expect.stringContaining('ebb split') as string },
    ])
    expect(report.created).toEqual([])
    // With a CHECK of the user's own, which has been accepted all along.
    await database.admin(sql`alter table ${quoted(fallback)} add constraint own check (at < '2001-01-02')`)
    expect((await rotateOne(database, table)).created).toHaveLength(4)
  })

  test('is rid of the CHECK that an interrupted rotation has left, and when one is stopped', async ({ database }) => {
    const { table, fallback } = await large(database, 3)
    await database.admin(
      sql`alter table ${quoted(fallback)} add constraint ebb_excluded check (token <> 'rejected') not valid`,
    )
    const stop = new AbortController()
    const stopped = await rotateOne(
      database,
      table,
      {},
      {
        signal: stop.signal,
        observer: (event) =>
          void (event.type === 'step finished' && event.step.key.startsWith('exclude') && stop.abort()),
      },
    )
    expect(stopped.failed.map(({ error }) => error.message)).toEqual([expect.stringContaining('stopped')])
    expect(stopped.created).toEqual([])
    expect(await checksOf(database, fallback)).toEqual([])

    // Of one that was killed later the CHECK is valid, and proves nothing any more when it is dropped.
    const [bounds] = (
      await database.admin<{ a: string; b: string }>(sql`select (${month(3)})::text a, (${month(4)})::text b`)
    ).rows
    const whole = `check (not (at >= '${bounds!.a}' and at < '${bounds!.b}'))`
    await database.admin(sql`alter table ${quoted(fallback)} add constraint ebb_excluded ${raw(whole)}`)
    const seen: string[] = []
    const report = await rotateOne(
      database,
      table,
      {},
      { observer: (event) => void (event.type === 'step finished' && seen.push(event.step.key.split(':')[0]!)) },
    )
    expect([report.failed, report.created.length]).toEqual([[], 1])
    expect(seen).toEqual(['readmit', 'exclude', 'validate', 'create', 'admit'])
  })

  test('is rid of that CHECK, too, where it is empty by now', async ({ database }) => {
    const { table, fallback } = await withDefault(database, 0, { until: 4 })
    await rotateOne(database, table)
    await database.admin(sql`alter table ${quoted(fallback)} add constraint ebb_excluded check (token <> 'rejected')`)
    const report = await rotateOne(database, table)
    expect([report.failed, report.created, report.plan!.notes]).toEqual([[], [], []])
    expect(await checksOf(database, fallback)).toEqual([])
  })
})
