import { expect } from 'vitest'
import { display, quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { ebb, eventsTable, objects } from './support.ts'

test('by age: methods side by side, and a command that works as printed', async ({ database }) => {
  const table = await eventsTable(database)
  const { code, out, err } = await ebb(['advise', display(table), '--older-than', '30 days', '--url', database.url])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toMatch(/about 2,000 rows/)
  expect(out).toMatch(/kept: about 7\d\d rows \(3[67] %\), "at" >= '\d{4}-.*'::pg_catalog\.timestamptz/)
  expect(out).toMatch(/partition by copying .*<- recommended\n/)
  expect(out).toMatch(/purge +1,\d+ .* B\n/)
  const [, words = ''] = /which changes nothing:\n {2}ebb (.*)\n/.exec(out) ?? []
  const typed = words.match(/'[^']*'|\S+/g)?.map((word) => word.replace(/^'|'$/g, '')) ?? []
  expect(await ebb([...typed, '--url', database.url])).toMatchObject({ code: 0 })
})

test('by a condition, in JSON; the estimate is the planner’s, and nothing is changed', async ({ database }) => {
  const table = await eventsTable(database)
  const { out } = await ebb(['advise', display(table), '--keep', 'id <= 200', '--url', database.url, '--json'])
  const [{ advice }] = objects(out) as [{ advice: { keptRows: number; ways: { name: string; verdict: string }[] } }]
  expect(advice).toMatchObject({ table, rows: 2000, kept: 'id <= 200', chosen: 'rebuild' })
  expect(Math.abs(advice.keptRows - 200)).toBeLessThan(20)
  expect(advice.ways.map(({ name, verdict }) => `${name}: ${verdict}`)).toEqual([
    'partition: does not fit',
    'rebuild: chosen',
    'purge: possible',
  ])
  const { rows } = await database.admin("select 1 from pg_namespace where nspname = 'ebb'")
  expect(rows).toEqual([])
})

test('a nullable time does not count as old; a text column has no age', async ({ database }) => {
  const table = await eventsTable(database)
  const client = await database.session('setup')
  await client.query(sql`alter table ${quoted(table)} alter at drop not null`.text)
  const { out } = await ebb(['advise', display(table), '--older-than', 'quarter', '--url', database.url])
  expect(out.replaceAll('\n', ' ')).toMatch(/interval '3 months' or "at" is null/)

  await client.query('create table words (word text primary key)')
  const refused = await ebb(['advise', 'words', '--older-than', '1 year', '--url', database.url])
  expect(refused.code).toBe(2)
  expect(refused.err).toContain('no column of public.words is known to hold a row’s age')
})

test.for([
  ['--keep: it cannot be combined with --older-than', ['--keep', 'true', '--older-than', 'month']],
  ["'soon' is not an interval", ['--older-than', 'soon']],
  ['the condition is empty', ['--keep', ' ']],
] as const)('invalid options: %s', async ([wrong, words]) => {
  const { code, err } = await ebb(['advise', 'events', ...words, '--url', 'postgres://127.0.0.1:1/nowhere'])
  expect(code).toBe(2)
  expect(err).toContain(wrong)
})

test('a condition that does not fit the table', async ({ database }) => {
  const table = await eventsTable(database)
  const { code, err } = await ebb(['advise', display(table), '--keep', 'nonsense = 1', '--url', database.url])
  expect(code).toBe(2)
  expect(err).toMatch(/does not fit .*nonsense/)
})

test('with cascading children, the printed command has a plan without objections', async ({ database }) => {
  const table = await eventsTable(database)
  const client = await database.session('setup')
  await client.query(`create table remarks (event_id bigint references ${quoted(table).text} on delete cascade)`)
  const { out } = await ebb(['advise', display(table), '--keep', 'id > 10', '--url', database.url, '--json'])
  const [{ advice }] = objects(out) as [{ advice: { ways: { name: string; command: string }[] } }]
  const { command = '' } = advice.ways.find(({ name }) => name === 'purge') ?? {}
  expect(command).toMatch(/--cascade$/)
  const words = command.match(/'[^']*'|\S+/g)?.map((word) => word.replace(/^'|'$/g, '')) ?? []
  expect(await ebb([...words.slice(1), '--url', database.url])).toMatchObject({ code: 0 })
})

test('a table whose policies hide rows is not reported as a wrong condition', async ({ database, skip }) => {
  if (process.env.EBB_TEST_ROLE === 'superuser') skip('from a superuser no policy hides anything')
  const table = await eventsTable(database)
  await database.admin(sql`alter table ${quoted(table)} enable row level security, force row level security`.text)
  const refused = await ebb(['advise', display(table), '--keep', 'id > 5', '--url', database.url])
  expect(refused.code).toBe(3)
  expect(refused.err).toMatch(/this role may not see all of .*row-level security/)
})
