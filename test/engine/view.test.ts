import { expect } from 'vitest'
import { type ViewOrder } from '../../src/engine/commands/view.ts'
import { ident, raw, sql, type Sql } from '../../src/sql/sql.ts'
import { companion, quoted, type TableName } from '../../src/sql/names.ts'
import { test, type Database } from '../support/database.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { keepView, partition, planViewOf } from '../support/commands.ts'

const NOTHING: ViewOrder = { name: null, hideMarked: null, expired: null, keep: null }
const KEEP = { by: 'at', interval: { count: 30, unit: 'day' } } as const

async function notes(database: Database, at = 'timestamptz not null'): Promise<TableName> {
  const table = database.table('notes')
  const owner = await database.session('setup')
  await owner.query(
    sql`create table ${quoted(table)} (id int primary key, "Order" text, at ${raw(at)}, deleted bool, valid int)`.text,
  )
  await owner.query(
    sql`insert into ${quoted(table)} select n, 'n', now() - n * interval '1 day', nullif(n % 5 = 0, false), n from generate_series(1, 60) n`
      .text,
  )
  return table
}

function keep(database: Database, table: TableName, order: Partial<ViewOrder>) {
  return keepView(database.url, written(table), { ...NOTHING, ...order }, quietly())
}

async function idsOf(database: Database, view: TableName): Promise<number[]> {
  const { rows } = await database.admin<{ id: number }>(sql`select id from ${quoted(view)} order by id`)
  return rows.map(({ id }) => id)
}

const numbers = (condition: (n: number) => boolean) => Array.from({ length: 60 }, (_, i) => i + 1).filter(condition)

test('hides marked rows, older rows, and rows matching a condition', async ({ database }) => {
  const table = await notes(database)
  const { plan } = await keep(database, table, { hideMarked: 'deleted', keep: KEEP, expired: 'valid < 3 -- too low' })
  expect(plan.view.name).toBe(companion(table.name, '_live'))
  expect(await idsOf(database, plan.view)).toEqual(numbers((n) => n % 5 !== 0 && n < 30 && n >= 3))
})

test.for(['timestamptz', 'timestamp', 'date'])('a row without a %s does not expire', async (type, { database }) => {
  const table = await notes(database, type)
  await database.admin(sql`update ${quoted(table)} set at = null where id = 50`)
  const { plan } = await keep(database, table, { keep: KEEP })
  const seen = await idsOf(database, plan.view)
  expect(seen.filter((id) => id !== 30)).toEqual(numbers((n) => n < 30 || n === 50))
})

test('the horizon is computed at each query', async ({ database }) => {
  const table = await notes(database)
  const { plan } = await keep(database, table, { keep: KEEP })
  const app = await database.session('app')
  const isSeen = async () => (await app.query(sql`select from ${quoted(plan.view)} where id = 1`)).rowCount === 1
  await app.query('begin') // in which now() stands still
  await app.query(sql`update ${quoted(table)} set at = now() - interval '30 days' + interval '200 ms' where id = 1`)
  expect(await isSeen()).toBe(true)
  await app.query('commit')
  await until(async () => !(await isSeen()), { what: 'the row to expire' })
})

test('is updated by the same command: columns, conditions, readers', async ({ database }) => {
  const table = await notes(database)
  const reader = await database.role('reader')
  const { plan } = await keep(database, table, { hideMarked: 'deleted' })
  const mayRead = async () => {
    const { rows } = await database.admin<{ may: boolean }>(
      sql`select has_table_privilege(${reader}, ${quoted(plan.view).text}, 'select') as may`,
    )
    return rows[0]?.may
  }
  expect(await mayRead()).toBe(false)
  await database.admin(sql`grant select on ${quoted(table)} to ${ident(reader)}`.text)
  await database.admin(sql`alter table ${quoted(table)} add column more text default 'x'`.text)
  await keep(database, table, { hideMarked: 'deleted' })
  expect(await mayRead()).toBe(true)
  const { rows } = await database.admin(sql`select more from ${quoted(plan.view)} limit 1`)
  expect(rows).toEqual([{ more: 'x' }])
  await database.admin(sql`revoke select on ${quoted(table)} from ${ident(reader)}`.text)
  await keep(database, table, { keep: KEEP })
  expect(await mayRead()).toBe(false)
  expect(await idsOf(database, plan.view)).toContain(5)
})

test.for([
  ['its condition', (view: Sql) => sql`create or replace view ${view} with (security_invoker) as table notes`],
  ['whose privileges it has', (view: Sql) => sql`alter view ${view} reset (security_invoker)`],
] as const)('one that was redefined by hand is known: %s', async ([, byHand], { database, skip }) => {
  if (database.version < 150_000) return skip('there is no security_invoker before 15')
  const table = await notes(database)
  const order = { ...NOTHING, expired: `at < timestamptz '2020-01-01' and "Order" ~ '\\d' -- it's so`, keep: KEEP }
  const { plan } = await keep(database, table, order)
  const seen = () => planViewOf(database.url, written(table), order, quietly())
  expect(await seen()).toMatchObject({ isCurrent: true })
  // A change of the table's names leads the view to the new one, and that is no other definition.
  await partition(database.url, written(table), monthly({ by: 'at' }), quietly())
  expect(await seen()).toMatchObject({ isCurrent: true })
  await database.admin(sql`set search_path to ${ident(table.schema)}`.text)
  await database.admin(byHand(quoted(plan.view)).text)
  expect(await seen()).toMatchObject({ isCurrent: false })
  await keep(database, table, order)
  expect(await seen()).toMatchObject({ isCurrent: true })
})

test('never replaces another view, nor a column that others may use', async ({ database }) => {
  const table = await notes(database)
  const mine = { schema: table.schema, name: 'mine' }
  await database.admin(sql`create view ${quoted(mine)} as select 1 as id`.text)
  const order = { ...NOTHING, hideMarked: 'deleted' }
  const taken = await planViewOf(database.url, written(table), { ...order, name: mine }, quietly())
  expect(taken.objections.map(({ code }) => code)).toEqual(['view-name'])

  const { plan } = await keep(database, table, order)
  await database.admin(sql`drop view ${quoted(mine)}`.text)
  await database.admin(sql`alter table ${quoted(table)} rename column valid to since`.text)
  const changed = await planViewOf(database.url, written(table), order, quietly())
  expect(changed.objections.map(({ code }) => code)).toEqual(['view-columns'])
  expect(await idsOf(database, plan.view)).toHaveLength(48)
})

test('does not expose rows hidden by policies', async ({ database, skip }) => {
  const table = await notes(database)
  const reader = await database.role('reader')
  await database.admin(sql`grant select on ${quoted(table)} to ${ident(reader)}`.text)
  await database.admin(sql`alter table ${quoted(table)} enable row level security, force row level security`.text)
  await database.admin(sql`create policy few on ${quoted(table)} using (id < 10)`.text)
  const order = { ...NOTHING, hideMarked: 'deleted', expired: 'valid < 3' }
  if (database.version < 150_000) {
    const { objections } = await planViewOf(database.url, written(table), order, quietly())
    expect(objections.map(({ code }) => code)).toEqual(['row-security'])
    return skip('there are no views in the name of the reader before 15')
  }
  const { plan } = await keep(database, table, order)
  const readers = await database.session('reader', { role: reader })
  const { rows } = await readers.query<{ id: number }>(sql`select id from ${quoted(plan.view)} order by id`.text)
  expect(rows.map(({ id }) => id)).toEqual([3, 4, 6, 7, 8, 9])
})
