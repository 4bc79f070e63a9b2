import { execFileSync } from 'node:child_process'
import { expect } from 'vitest'
import { display, quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { ebb, eventsTable, objects } from './support.ts'

const MONTHLY = ['--by', 'at', '--every', 'month', '--keep', '3 months']

test('without --execute the plan is shown and nothing is changed', async ({ database }) => {
  const table = await eventsTable(database)
  const before = await relations(database)
  const { code, out, err } = await ebb(['partition', display(table), ...MONTHLY, '--url', database.url])
  expect(err).toBe('')
  expect(code).toBe(0)
  expect(out).toMatch(/^-- partition .*by at, one partition every 1 month\n/)
  expect(out.trimEnd().split('\n').at(-1)).toMatch(
    /^-- Nothing has been changed\. To execute: ebb partition .* --execute$/,
  )
  expect(await relations(database)).toEqual(before)
})

test('the printed command repeats the options, quoted for a shell, without passwords', async ({ database }) => {
  const table = display(await eventsTable(database))
  const url = new URL(database.url)
  url.password = 'p%40ss-W0rd'
  for (const more of [[], ['--json']]) {
    const { out, err } = await ebb(['partition', table, ...MONTHLY, '--url', url.href, ...more])
    expect(out).toContain(`:***@${url.host}`)
    expect(out).toContain("--every month --keep '3 months'")
    expect(out + err).not.toContain('W0rd')
  }
})

test('the printed plan runs in psql, with the described effect', async ({ database, needs }) => {
  const psql = needs('psql')
  const table = await eventsTable(database)
  const { out } = await ebb(['partition', display(table), ...MONTHLY, '--url', database.url])
  execFileSync(psql, ['--no-psqlrc', '--quiet', database.url], { input: out, stdio: ['pipe', 'ignore', 'pipe'] })
  const kind = await database.admin<{ relkind: string; rows: string }>(
    sql`select relkind, (select count(*) from ${quoted(table)})::text as rows from pg_class where oid = ${quoted(table).text}::regclass`,
  )
  expect(kind.rows[0]).toEqual({ relkind: 'p', rows: '2000' })
})

test('--execute converts and reports, and does nothing the second time', async ({ database }) => {
  const table = await eventsTable(database)
  const args = ['partition', display(table), ...MONTHLY, '--url', database.url, '--execute']
  const first = await ebb(args)
  expect(first.code).toBe(0)
  expect(first.err).toMatch(/^step 1 of \d+: dry run/)
  expect(first.err).toMatch(/locked \d+ ms, maximum blocking time \d+ ms/)
  expect(first.out).toContain('locked for the swap')
  expect(first.out).toMatch(/MINVALUE +\d{4}-\d\d-01 +2,000/)
  const second = await ebb(args)
  expect(second.code).toBe(0)
  expect(second.out).toContain('nothing to do')
})

test('a plan with objections is shown, with exit code 3', async ({ database }) => {
  const table = await eventsTable(database)
  const args = ['partition', display(table), '--by', 'kind', '--every', 'month', '--url', database.url]
  for (const words of [args, [...args, '--execute']]) {
    const { code, out, err } = await ebb(words)
    expect(code).toBe(3)
    expect(out).toContain('-- Blocking issues')
    expect(out).toContain('fix: ')
    expect(err).toBe('')
  }
})

test('--json prints one object per line: the plan; or the events, and finally the result', async ({ database }) => {
  const table = await eventsTable(database)
  const args = ['partition', display(table), '--by', 'id', '--every', '1_000_000', '--expire-by', 'at']
  const words = [...args, '--url', database.url, '--json']
  const shown = objects((await ebb(words)).out)
  expect(shown).toHaveLength(1)
  expect(shown[0]).toMatchObject({ type: 'plan', plan: { policy: { every: { kind: 'ids', ids: '1000000' } } } })

  const done = await ebb([...words, '--execute'])
  const events_ = objects(done.out)
  expect(done.err).toBe('')
  expect(events_[0]).toMatchObject({
    type: 'step started',
    position: 0,
    at: expect.stringMatching(/^20.*Z$/) as string,
  })
  expect(events_.at(-1)).toMatchObject({ type: 'result', result: { nothingToDo: false } })
})

async function relations(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ name: string }>(
    "select oid::regclass || ' ' || relkind::text as name from pg_class where relnamespace >= 16384 or relnamespace = 'public'::regnamespace order by 1",
  )
  return rows.map(({ name }) => name)
}

test('on a terminal the status line is cleared before an error is printed; --deadline limits the lock attempts', async ({
  database,
}) => {
  const table = await eventsTable(database)
  const holder = await database.session('holder')
  await holder.query('begin')
  await holder.query(sql`lock table ${quoted(table)} in access share mode`.text)
  let printed = ''
  const err = { write: (text: string) => void (printed += text), isTTY: true, columns: 100 }
  const words = ['partition', display(table), ...MONTHLY, '--url', database.url, '--execute', '--deadline', '1']
  const { code } = await ebb(words, { err })
  expect(code).toBe(75)
  expect(printed).toMatch(/waiting: for .*holder/)
  expect(printed).toContain('\r\u001b[2Kerror: could not lock ')
})
