import { fileURLToPath } from 'node:url'
import { readFile } from 'node:fs/promises'
import { expect, onTestFinished } from 'vitest'
import { planReattachOf, reattach } from '../../src/engine/commands/reattach.ts'
import type { Event } from '../../src/events.ts'
import type { Receipt } from '../../src/plan/archive/receipt.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { archiveFolder, archiveTo, archivedRows } from '../support/archiving.ts'
import { test, type Database } from '../support/database.ts'
import { countOf, isThere, leafOf, month, monthsOf, options, rotateOne } from './rotate-support.ts'

/** `events` by month, and each month by region, with an index and a setting on one of the two. */
async function divided(database: Database, from: number, to: number): Promise<TableName> {
  const table = database.table('events')
  const session = await database.session('divide')
  await session.query(
    sql`create table ${quoted(table)} (id bigint generated always as identity, at timestamptz not null, region text not null) partition by range (at)`,
  )
  for (let n = from; n < to; n++) {
    const part = leafOf(database, table, n)
    const [eu, rest] = [' eu', ' rest'].map((end) => quoted({ ...part, name: part.name + end }))
    const bounds = await session.query<{ a: string; b: string }>(
      sql`select (${month(n)})::text as a, (${month(n + 1)})::text as b`,
    )
    const { a, b } = bounds.rows[0]!
    await session.query(`
      create table ${quoted(part).text} partition of ${quoted(table).text} for values from ('${a}') to ('${b}') partition by list (region);
      create table ${eu!.text} partition of ${quoted(part).text} for values in ('eu') with (fillfactor = 70);
      create table ${rest!.text} partition of ${quoted(part).text} default;
      create index on ${eu!.text} (id)`)
    await session.query(
      sql`insert into ${quoted(table)} (at, region) select ${month(n)}, r from unnest(array['eu', 'us', 'asia']) r`,
    )
  }
  return table
}

test('partitions that are divided further are created as their siblings are, archived, and dropped whole', async ({
  database,
}) => {
  const table = await divided(database, -3, 1)
  const folder = await archiveFolder()
  onTestFinished(folder.close)
  const archive = archiveTo(folder.uri)
  const report = await rotateOne(database, table, { keep: '2 months', archive, noArchive: false })
  expect(report.failed).toEqual([])
  expect(report.plan!.objections).toEqual([])
  expect(await monthsOf(database, table)).toEqual([-2, -1, 0, 1, 2, 3])
  expect(report.retired).toMatchObject([{ outcome: 'dropped' }])
  const receipt = JSON.parse(await readFile(fileURLToPath(report.retired[0]!.receipt!), 'utf8')) as Receipt
  expect(await archivedRows(folder.path, receipt)).toHaveLength(3)
  expect(await isThere(database, leafOf(database, table, -3))).toBe(false)
  await database.admin(sql`insert into ${quoted(table)} (at, region) values (${month(2)}, 'eu'), (${month(2)}, 'us')`)
  expect(await countOf(database, table)).toBe(11)
  // 17 and later detach none whose partitions lack an identity column that it has.
  const owner = await database.session('owner')
  await owner.query(sql`alter table ${quoted(table)} detach partition ${quoted(report.created.at(-1)!.partition)}`)
  const { rows } = await database.admin<{ shape: string }>(sql`
    select format('%s %s %s', pg_get_expr(c.relpartbound, c.oid), c.reloptions::text, (select count(*) from pg_index where indrelid = c.oid)) as shape
    from pg_partition_tree(${quoted(table).text}::regclass) t join pg_class c on c.oid = t.relid where t.isleaf group by 1`)
  expect(rows.map(({ shape }) => shape).toSorted()).toEqual(['DEFAULT  0', "FOR VALUES IN ('eu') {fillfactor=70} 1"])

  await database.admin(
    sql`create index on ${quoted({ ...table, name: `${leafOf(database, table, -1).name} rest` })} (id)`,
  )
  const differing = await rotateOne(database, table)
  expect(differing.plan!.objections).toMatchObject([{ code: 'siblings:sub-partitions', acceptable: true }])
})

test('a write to a partition of one that is detached is noticed before that is dropped or attached again', async ({
  database,
}) => {
  const table = await divided(database, -4, 1)
  const owner = await database.session('owner')
  await owner.query(sql`alter table ${quoted(table)} alter id drop identity`)
  await rotateOne(database, table, { keep: '2 months', grace: '7 days' })
  const [old, other] = [leafOf(database, table, -4), leafOf(database, table, -3)]
  const part = ({ schema, name }: TableName) => quoted({ schema, name: `${name} rest` })
  await database.admin(sql`alter table ${part(old)} disable trigger all`)
  const writer = await database.session('writer')
  await writer.query('begin')
  await writer.query(sql`update ${part(other)} set region = 'us'`)
  let waited = false
  const observer = (event: Event) => {
    if (event.type !== 'waiting' || waited) return
    waited = true
    void writer.query('commit')
  }
  const hold = { hold: { count: 30, unit: 'day' }, accept: [] } as const
  await expect(reattach(database.url, other, hold, options({ observer }))).rejects.toThrow(/it was written to/)
  expect(waited).toBe(true)
  await database.admin(
    `update ebb.retirement set detached_at = detached_at - interval '8 days', since = since - interval '8 days'`,
  )
  const report = await rotateOne(database, table)
  expect([report.failed, report.retired]).toEqual([[], []])
  expect(report.skipped.map(({ reason }) => reason)).toEqual(
    expect.arrayContaining([
      expect.stringContaining('nothing noticed writes'),
      expect.stringContaining('it was written to since'),
    ]),
  )
})

test('a hold on a partition of a partition keeps that whole, attached or detached', async ({ database }) => {
  const table = await divided(database, -4, 1)
  await rotateOne(database, table)
  const [old, other] = [leafOf(database, table, -4), leafOf(database, table, -3)]
  const hold = ({ schema, name }: TableName) =>
    database.admin(
      sql`insert into ebb.hold (schema_name, table_name, until) values (${schema}, ${`${name} rest`}, now() + interval '1 day')`,
    )
  await hold(old)
  const asked = { keep: '2 months', grace: '1 day' }
  const first = await rotateOne(database, table, asked)
  expect(first.retired.map(({ partition, outcome }) => [partition, outcome])).toEqual([[other, 'detached']])
  await hold(other)
  await database.admin(`update ebb.retirement set detached_at = detached_at - interval '2 days'`)
  const second = await rotateOne(database, table, asked)
  expect([second.failed, second.retired]).toEqual([[], []])
  expect(second.skipped.map(({ reason }) => reason)).toEqual(
    expect.arrayContaining([
      expect.stringContaining('restored rows are on hold'),
      expect.stringContaining('rows are on hold until'),
    ]),
  )
})

test('truncated ones are attached as they were, and are not archived again', async ({ database }) => {
  const table = await divided(database, -3, 1)
  const folder = await archiveFolder()
  onTestFinished(folder.close)
  const asked = { retire: 'truncate', archive: archiveTo(folder.uri), noArchive: false } as const
  const report = await rotateOne(database, table, { ...asked, keep: '2 months' })
  expect([report.failed, report.retired.map(({ outcome }) => outcome)]).toEqual([[], ['truncated']])
  expect(await countOf(database, table)).toBe(9)
  expect(await monthsOf(database, table)).toEqual([-3, -2, -1, 0, 1, 2, 3])
  const again = await rotateOne(database, table, asked)
  expect([again.failed, again.retired]).toEqual([[], []])
  // As detached as before: rows come, expire, and go.
  await database.admin(sql`insert into ${quoted(table)} (at, region) values (${month(-3)}, 'eu')`)
  const last = await rotateOne(database, table, { ...asked, retire: 'drop', grace: '7 days' })
  expect([last.failed, last.retired.map(({ outcome }) => outcome)]).toEqual([[], ['detached']])
  const plan = await planReattachOf(database.url, leafOf(database, table, -3), { hold: null, accept: [] }, options())
  const { rows } = await database.admin<{ version: number }>(
    `select current_setting('server_version_num')::int as version`,
  )
  expect(plan.objections.map(({ code }) => code)).toEqual(rows[0]!.version >= 170000 ? ['lacks:id'] : [])
})

test('a set divided by list first: each of its partitions is rotated by itself', async ({ database }) => {
  const table = database.table('events')
  const eu = database.table('events eu')
  const session = await database.session('setup')
  await session.query(`
    create table ${quoted(table).text} (id bigint, at timestamptz not null, region text) partition by list (region);
    create table ${quoted(eu).text} partition of ${quoted(table).text} for values in ('eu') partition by range (at)`)
  for (const n of [-2, -1, 0]) {
    const { rows } = await session.query<{ a: string; b: string }>(
      sql`select (${month(n)})::text as a, (${month(n + 1)})::text as b`,
    )
    await session.query(
      `create table ${quoted(leafOf(database, eu, n)).text} partition of ${quoted(eu).text} for values from ('${rows[0]!.a}') to ('${rows[0]!.b}')`,
    )
  }
  const whole = await rotateOne(database, table)
  expect(whole.plan!.objections).toMatchObject([
    { code: 'not-by-range', fix: expect.stringContaining('ebb rotate') as string },
  ])
  const report = await rotateOne(database, eu, { keep: '1 month' })
  expect(report.failed).toEqual([])
  expect(report.retired).toHaveLength(1)
  expect(await monthsOf(database, eu)).toEqual([-1, 0, 1, 2, 3])
})
