import { afterEach, describe, expect, vi } from 'vitest'
import { exitCodeOfRotation } from '../../src/cli/exit-codes.ts'
import { planRotations, rotate } from '../../src/engine/commands/rotate.ts'
import { status } from '../../src/engine/runs/runs.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import {
  addMonths,
  countOf,
  isThere,
  journalOf,
  leafOf,
  month,
  monthlyEvents,
  monthsOf,
  options,
  planOf,
  request,
  rotateOne,
} from './rotate-support.ts'

describe('a set by month', () => {
  test('gets its premake and loses expired partitions; then nothing is left to do', async ({ database }) => {
    const table = await monthlyEvents(database, -6, 1)
    const report = await rotateOne(database, table, { keep: '3 months' })

    expect(report.failed).toEqual([])
    expect(await monthsOf(database, table)).toEqual([-3, -2, -1, 0, 1, 2, 3])
    expect(await journalOf(database, table)).toEqual([
      ...['created', 'created', 'created'],
      ...['detached', 'dropped', 'detached', 'dropped', 'detached', 'dropped'],
    ])
    expect(await isThere(database, leafOf(database, table, -6))).toBe(false)

    const again = await rotate(database.url, request(), options())
    expect(again.sets.map(({ created, retired, failed }) => ({ created, retired, failed }))).toEqual([
      { created: [], retired: [], failed: [] },
    ])
    expect(exitCodeOfRotation(again)).toBe(0)
  })

  test('is only read by a plan', async ({ database }) => {
    const table = await monthlyEvents(database, -6, 1)
    const plan = await planOf(database, table, { keep: '3 months' })
    expect(plan.create).toHaveLength(3)
    expect(plan.retire).toHaveLength(3)
    expect(plan.evidence.join()).toContain('0 rows inside the keep window')
    expect(await monthsOf(database, table)).toEqual([-6, -5, -4, -3, -2, -1, 0])
    const { rows } = await database.admin(`select from pg_namespace where nspname = 'ebb'`)
    expect(rows).toEqual([])
  })

  test('keeps a wide history until all of it has expired', async ({ database }) => {
    const table = await monthlyEvents(database, -2, 1)
    const session = await database.session('setup')
    await addMonths(session, database, table, null, -2)
    await session.query(sql`insert into ${quoted(table)} (at) values ('2001-01-01'), (${month(-3)})`)

    await rotateOne(database, table, { keep: '3 months' })
    expect(await monthsOf(database, table)).toContain(-2)
    expect(await isThere(database, leafOf(database, table, 'min'))).toBe(true)

    await rotateOne(database, table, { keep: '2 months', accept: ['shorter-keep'] })
    expect(await isThere(database, leafOf(database, table, 'min'))).toBe(false)
    expect(await monthsOf(database, table)).toEqual([-2, -1, 0, 1, 2, 3])
  })

  test('keeps future partitions and the retention window, whoever created them', async ({ database }) => {
    const table = await monthlyEvents(database, -4, 4)
    const session = await database.session('setup')
    await addMonths(session, database, table, 12, null)
    await addMonths(session, database, table, -9, -6)
    await session.query(sql`insert into ${quoted(table)} (at) values ('2099-01-01'), (${month(-7)})`)
    const report = await rotateOne(database, table, { keep: '2 months' })
    expect(report.failed).toEqual([])
    expect(await monthsOf(database, table)).toEqual([-2, -1, 0, 1, 2, 3, 12])
  })

  test('lost only rows older than the retention period', async ({ database }) => {
    const table = await monthlyEvents(database, -5, 1)
    const kept = sql`select count(*)::int as kept from ${quoted(table)} where at >= ${month(-2)}`
    const before = (await database.admin<{ kept: number }>(kept)).rows[0]!.kept
    await rotateOne(database, table, { keep: '2 months' })
    expect((await database.admin<{ kept: number }>(kept)).rows[0]!.kept).toBe(before)
  })

  test('requires --no-archive before removing anything, and creates partitions ahead all the same', async ({
    database,
  }) => {
    const table = await monthlyEvents(database, -6, 1)
    const report = await rotate(
      database.url,
      request({ tables: [table], keep: '3 months', noArchive: false }),
      options(),
    )
    expect(exitCodeOfRotation(report)).toBe(3)
    expect(report.sets[0]!.created).toHaveLength(3)
    expect(await monthsOf(database, table)).toEqual([-6, -5, -4, -3, -2, -1, 0, 1, 2, 3])
  })

  test('detached partitions stay as tables of their own', async ({ database }) => {
    const table = await monthlyEvents(database, -4, 1)
    await rotateOne(database, table, { keep: '3 months', retire: 'detach', noArchive: false })
    expect(await monthsOf(database, table)).toEqual([-3, -2, -1, 0, 1, 2, 3])
    expect(await countOf(database, leafOf(database, table, -4))).toBe(1)
    expect((await database.admin('select from ebb.retirement')).rows).toEqual([])
  })

  test('are not rewritten in columns where nothing can store them so', async ({ database }) => {
    const table = await monthlyEvents(database, -6, 1)
    const { objections, retire } = await planOf(database, table, { keep: '3 months', retire: 'columnar' })
    expect([objections.map(({ code }) => code), retire]).toEqual([['columnar-missing'], []])
  })

  test('truncated partitions stay attached', async ({ database }) => {
    const table = await monthlyEvents(database, -4, 1)
    const asked = { keep: '3 months', retire: 'truncate' } as const
    const report = await rotateOne(database, table, asked)
    expect(report.retired.map(({ outcome }) => outcome)).toEqual(['truncated'])
    expect(await monthsOf(database, table)).toContain(-4)
    expect(await countOf(database, leafOf(database, table, -4))).toBe(0)
    expect((await rotateOne(database, table, asked)).retired).toEqual([])
  })
})

test('new partitions are stored as the others are, or as the table or the database says', async ({ database }) => {
  await database.admin('create access method vault type table handler heap_tableam_handler')
  const methodsOf = async (table: TableName) => {
    const { rows } = await database.admin<{ amname: string }>(sql`
      select m.amname::text from pg_inherits h join pg_class p on p.oid = h.inhrelid join pg_am m on m.oid = p.relam
      where h.inhparent = ${quoted(table).text}::regclass order by p.oid`)
    return rows.map(({ amname }) => amname)
  }
  const alike = await monthlyEvents(database, 0, 1)
  await database.admin(sql`alter table ${quoted(leafOf(database, alike, 0))} set access method vault`)
  await rotateOne(database, alike)
  expect(await methodsOf(alike)).toEqual(['vault', 'vault', 'vault', 'vault'])

  await database.admin(`alter database "${database.name}" set default_table_access_method to vault`)
  const empty = await monthlyEvents(database, 0, 1, 'empty')
  await rotateOne(database, empty)
  const { rows } = await database.admin<{ drop: string }>(
    sql`select format('drop table %s', inhrelid::regclass) as drop from pg_inherits where inhparent = ${quoted(empty).text}::regclass`,
  )
  for (const { drop } of rows) await database.admin(drop)
  await rotateOne(database, empty)
  expect(new Set(await methodsOf(empty))).toEqual(new Set(['vault']))
  await database.admin(`alter database "${database.name}" reset default_table_access_method`)
  if (database.version < 170_000) return
  const told = await monthlyEvents(database, 0, 1, 'told')
  await database.admin(sql`alter table ${quoted(told)} set access method vault`)
  await rotateOne(database, told)
  expect(await methodsOf(told)).toEqual(['heap', 'vault', 'vault', 'vault'])
})

describe('the clock', () => {
  afterEach(() => void vi.useRealTimers())

  test('is the server’s: that of this process may be decades ahead', async ({ database }) => {
    const table = await monthlyEvents(database, -6, 1)
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2061-01-01') })
    await rotateOne(database, table, { keep: '3 months' })
    expect(await monthsOf(database, table)).toEqual([-3, -2, -1, 0, 1, 2, 3])
  })

  test('is doubted if all rows look expired', async ({ database }) => {
    const table = await monthlyEvents(database, -8, 1)
    await database.admin(sql`delete from ${quoted(table)} where at >= ${month(-5)}`)
    const report = await rotate(database.url, request({ tables: [table], keep: '1 month' }), options())
    expect(report.sets[0]!.plan!.objections.map(({ code }) => code)).toEqual(['clock'])
    expect(report.sets[0]!.created).toHaveLength(3)
    expect(await monthsOf(database, table)).toEqual([-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3])

    await rotateOne(database, table, { keep: '1 month', accept: ['clock'] })
    expect(await monthsOf(database, table)).toEqual([-1, 0, 1, 2, 3])
  })

  test('follows the time zone of the set', async ({ database }) => {
    await database.admin(`alter database "${database.name}" set timezone to 'Europe/Berlin'`)
    const table = database.table('events')
    const session = await database.session('setup')
    await session.query(sql`create table ${quoted(table)} (at timestamptz not null) partition by range (at)`)
    for (const day of [-1, 0]) {
      const { rows } = await session.query<{ from: string; to: string }>(
        sql`select (current_date + ${day}::int)::timestamptz::text as from, (current_date + ${day + 1}::int)::timestamptz::text as to`,
      )
      await session.query(
        sql`create table ${quoted(leafOf(database, table, day))} partition of ${quoted(table)}
            for values from (${raw(`'${rows[0]!.from}'`)}) to (${raw(`'${rows[0]!.to}'`)})`,
      )
    }
    const report = await rotateOne(database, table)
    expect(report.plan!.policy!.timezone).toBe('Europe/Berlin')
    expect(report.created).toHaveLength(14)
    expect(report.created.every(({ from }) => from.endsWith(' 00:00 Europe/Berlin'))).toBe(true)
  })
})

describe('other key types', () => {
  test.for([
    ['date', (day: string) => `'${day}'`],
    ['timestamp', (day: string) => `'${day}'`],
    ['bigint', (day: string) => `${Date.parse(day)}`],
    ['integer', (day: string) => `${Date.parse(day) / 1000}`],
    ['uuid', (day: string) => uuidOf(day)],
  ] as const)('%s', async ([type, bound], { database }) => {
    const table = database.table('events')
    const session = await database.session('setup')
    await session.query(sql`create table ${quoted(table)} (at ${raw(type)} not null) partition by range (at)`)
    const now = new Date()
    const day = (offset: number) =>
      new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + offset)).toISOString().slice(0, 10)
    for (const offset of [-3, -2, -1, 0])
      await session.query(
        sql`create table ${quoted(leafOf(database, table, offset))} partition of ${quoted(table)}
            for values from (${raw(bound(day(offset)))}) to (${raw(bound(day(offset + 1)))})`,
      )
    await session.query(sql`insert into ${quoted(table)} values (${raw(bound(day(0)))})`)
    await session.query(sql`insert into ${quoted(table)} values (${raw(bound(day(-3)))})`)
    const report = await rotateOne(database, table, { keep: '2 days' })
    expect(report.failed).toEqual([])
    expect(report.created).toHaveLength(14)
    expect(report.retired.map(({ partition }) => partition)).toEqual([leafOf(database, table, -3)])
  })
})

function uuidOf(day: string): string {
  const hex = Date.parse(day).toString(16).padStart(12, '0')
  return `'${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000'`
}

describe('objects created by others', () => {
  test('are left alone if they are more than a plain partition', async ({ database }) => {
    const table = await monthlyEvents(database, -3, 1)
    const session = await database.session('setup')
    const view = database.table('a view')
    const [divided, viewed, foreign] = [
      database.table('divided'),
      leafOf(database, table, -3),
      database.table('foreign'),
    ]
    await session.query(sql`create view ${quoted(view)} as select * from ${quoted(viewed)}`)
    await session.query(
      sql`create table ${quoted(divided)} partition of ${quoted(table)} for values from ('2020-01-01') to ('2020-02-01') partition by hash (id)`,
    )
    await database.admin('create foreign data wrapper nothing')
    await database.admin(
      'create server nowhere foreign data wrapper nothing; grant usage on foreign server nowhere to public',
    )
    // A foreign table can have no primary key, and so is no partition of a table that has one.
    const plain = await monthlyEvents(database, -2, 1, 'plain', raw('at timestamptz not null'))
    await session.query(
      sql`create foreign table ${quoted(foreign)} partition of ${quoted(plain)} for values from ('2020-01-01') to ('2020-02-01') server nowhere`,
    )

    const report = await rotateOne(database, table, { keep: '1 month' })
    expect(report.skipped.map(({ partition }) => partition)).toEqual(expect.arrayContaining([viewed]))
    expect(report.retired.map(({ partition }) => partition)).toEqual([divided, leafOf(database, table, -2)])
    const other = await rotateOne(database, plain, { keep: '1 month' })
    expect(other.failed).toEqual([])
    expect(other.skipped.map(({ partition }) => partition)).toContainEqual(foreign)
    for (const relation of [viewed, foreign, view]) expect(await isThere(database, relation)).toBe(true)
  })

  test('a default partition: detaching takes a short lock', async ({ database }) => {
    const table = await monthlyEvents(database, -4, 1)
    const session = await database.session('setup')
    const fallback = database.table('fallback')
    await session.query(sql`create table ${quoted(fallback)} partition of ${quoted(table)} default`)
    const report = await rotateOne(database, table, { keep: '3 months' })
    expect(report.failed).toEqual([])
    expect(await monthsOf(database, table)).toEqual(['DEFAULT', -3, -2, -1, 0, 1, 2, 3])
    expect(report.skipped.map(({ partition }) => partition)).toContainEqual(fallback)
  })

  test('foreign keys to the set: referenced partitions are withheld, and others created', async ({ database }) => {
    const table = await monthlyEvents(database, -4, 1)
    const session = await database.session('setup')
    const child = database.table('child')
    await session.query(
      sql`create table ${quoted(child)} (id bigint, at timestamptz, foreign key (id, at) references ${quoted(table)})`,
    )
    await session.query(
      sql`insert into ${quoted(child)} select id, at from ${quoted(leafOf(database, table, -3))} limit 1`,
    )

    const report = await rotateOne(database, table, { keep: '2 months' })
    expect(report.retired.map(({ partition }) => partition)).toEqual([leafOf(database, table, -4)])
    expect(report.failed.map(({ error }) => error.message)).toEqual([expect.stringContaining('reference its rows')])
    expect(await monthsOf(database, table)).toEqual([-3, -2, -1, 0, 1, 2, 3])
    expect(await countOf(database, child)).toBe(1)
    expect((await database.admin('select from ebb.retirement')).rows).toEqual([])

    await session.query(sql`delete from ${quoted(child)}`)
    expect((await rotateOne(database, table, { keep: '2 months' })).failed).toEqual([])
    expect(await monthsOf(database, table)).toEqual([-2, -1, 0, 1, 2, 3])
  })
})

test('new partitions are as restricted as their siblings', async ({ database }) => {
  const table = await monthlyEvents(database, -2, 1)
  const session = await database.session('setup')
  const reader = await database.role('reader')
  await session.query(sql`alter table ${quoted(table)} enable row level security`)
  await session.query(sql`alter default privileges grant select on tables to ${raw(reader)}`)
  await session.query(sql`alter table ${quoted(leafOf(database, table, 0))} set (fillfactor = 70)`)
  const [created] = (await rotateOne(database, table)).created
  const { rows } = await database.admin<{ rls: boolean; grants: string | null; options: string[] }>(sql`
    select relrowsecurity as rls, relacl::text like ${`%${reader}%`} as grants, reloptions as options
    from pg_class where oid = ${quoted(created!.partition).text}::regclass`)
  expect(rows).toEqual([{ rls: true, grants: false, options: ['fillfactor=70'] }])
  await session.query(sql`alter default privileges revoke select on tables from ${raw(reader)}`)
})

describe('several sets', () => {
  test('fail independently', async ({ database }) => {
    const good = await monthlyEvents(database, -4, 1, 'good')
    const session = await database.session('setup')
    const list = database.table('by list')
    const gone = database.table('gone')
    await session.query(sql`create table ${quoted(list)} (kind text) partition by list (kind)`)
    const report = await rotate(database.url, request({ tables: [list, gone, good], keep: '3 months' }), options())
    expect(
      report.sets.map(({ failed, plan }) => [
        ...failed.map(({ error }) => error.message),
        ...(plan?.objections ?? []).map(({ code }) => code),
      ]),
    ).toEqual([[expect.stringContaining('there is no table')], ['not-by-range'], []])
    expect(exitCodeOfRotation(report)).toBe(1)
    expect(await monthsOf(database, good)).toEqual([-3, -2, -1, 0, 1, 2, 3])
  })

  test('that are registered are all rotated, also if one has been dropped', async ({ database }) => {
    const [one, two] = [await monthlyEvents(database, -1, 1, 'one'), await monthlyEvents(database, -1, 1, 'two')]
    await rotate(database.url, request({ tables: [one, two] }), options())
    await database.admin(sql`drop table ${quoted(one)}`)
    const plans = await planRotations(database.url, request(), options())
    expect(plans.flatMap(({ objections }) => objections)).toEqual([])
    expect(plans.find(({ table }) => table.name === one.name)?.notes).toEqual([
      expect.stringMatching(/no longer exists: rotate will remove its registration \(by at, every 1 month \(UTC\)/),
    ])

    const report = await rotate(database.url, request(), options())
    expect(exitCodeOfRotation(report)).toBe(0)
    expect(report.forgotten.map(({ table }) => table)).toEqual([one])
    expect(report.sets.map(({ table }) => table)).toEqual([two])
    const after = await status(database.url, options())
    expect(after.sets.map(({ table }) => table)).toEqual([two])
    expect((await rotate(database.url, request(), options())).forgotten).toEqual([])
  })

  test('are forgotten on request, and nothing of them is touched', async ({ database }) => {
    const [one, two] = [await monthlyEvents(database, -1, 1, 'one'), await monthlyEvents(database, -1, 1, 'two')]
    await rotate(database.url, request({ tables: [one, two] }), options())
    const forgetting = request({ tables: [one], forget: true })
    const kept = await monthsOf(database, one)

    const [plan] = await planRotations(database.url, forgetting, options())
    expect(plan).toMatchObject({ table: one, forgets: true, objections: [], steps: [] })
    expect(plan?.notes.join('\n')).toMatch(
      /only the registration is removed .* rows stay\n.*no longer creates partitions/,
    )
    expect(plan?.notes.join('\n')).toMatch(/partitions until \d{4}-\d\d-01 .* are rejected/)
    expect((await status(database.url, options())).sets).toHaveLength(2)

    const report = await rotate(database.url, forgetting, options())
    expect(report).toMatchObject({ sets: [], forgotten: [{ table: one, exists: true }], stopped: false })
    expect(exitCodeOfRotation(report)).toBe(0)
    expect((await status(database.url, options())).sets.map(({ table }) => table)).toEqual([two])
    expect(await monthsOf(database, one)).toEqual(kept)
    expect((await rotate(database.url, request(), options())).sets.map(({ table }) => table)).toEqual([two])
    await expect(rotate(database.url, forgetting, options())).rejects.toThrow(/one.* is not managed by rotate/)

    // One that was dropped can be forgotten by its name, too.
    await database.admin(sql`drop table ${quoted(two)}`)
    await rotate(database.url, request({ tables: [two], forget: true }), options())
    expect((await status(database.url, options())).sets).toEqual([])
  })

  test('that are plain tables by now remain registered, and it is said how to change that', async ({ database }) => {
    const one = await monthlyEvents(database, -1, 1, 'one')
    await rotate(database.url, request({ tables: [one] }), options())
    await database.admin(sql`drop table ${quoted(one)}`)
    await database.admin(sql`create table ${quoted(one)} (at timestamptz)`)
    const report = await rotate(database.url, request(), options())
    expect(exitCodeOfRotation(report)).toBe(3)
    const [objection] = report.sets[0]?.plan?.objections ?? []
    expect(objection?.code).toBe('gone')
    expect(objection?.fix).toMatch(/: ebb rotate --forget \S*one\S* --execute$/)
    await rotate(database.url, request({ tables: [one], forget: true }), options())
    await expect(rotate(database.url, request(), options())).rejects.toThrow('no table is managed by rotate')
  })

  test('with none registered is an immediate error', async ({ database }) => {
    await expect(rotate(database.url, request({ tables: [database.table('nothing')] }), options())).rejects.toThrow(
      'there is no table',
    )
  })
})
