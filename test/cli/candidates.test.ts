import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test as plainTest } from 'vitest'
import { companion, display, quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { ebb, eventsTable, objects } from './support.ts'

const OLD = ['--where', "at < now() - interval '30 days'"]

async function count(database: Database, table: TableName, where = sql`true`): Promise<number> {
  const { rows } = await database.admin<{ n: number }>(
    sql`select count(*)::int as n from ${quoted(table)} where ${where}`,
  )
  return rows[0]?.n ?? -1
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ebb-test-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  return path
}

test('candidates: recorded, reviewed, approved, purged', async ({ database }) => {
  const table = await eventsTable(database)
  const at = ['--url', database.url]
  const planned = await ebb(['purge', display(table), ...OLD, '--candidates', ...at])
  expect(planned.code, planned.err).toBe(0)
  expect(planned.out).toContain('no row is deleted, changed or locked')
  expect((await ebb(['candidates', ...at])).out).toContain('There are no candidate sets')

  const file = join(folder(), 'keys.csv')
  const words = ['--candidates', '--sample', '3', '--export', file, '--execute']
  const done = await ebb(['purge', display(table), ...OLD, ...words, ...at])
  expect(done.code, done.err).toBe(0)
  expect(done.out).toContain('Candidate set 1: 1,28')
  expect(done.out.match(/^\{"id":/gm)).toHaveLength(3)
  expect(readFileSync(file, 'utf8').split('\n').slice(0, 2)).toEqual(['id', '1'])
  expect(await count(database, table)).toBe(2000)
  const again = await ebb(['candidates', '1', '--export', file, ...at])
  expect(again).toMatchObject({ code: 2, err: expect.stringContaining('already exists') as string })

  const approval = ['candidates', '1', '--approved-by', 'Ann', '--ticket', 'OPS-7', ...at]
  expect((await ebb(approval)).out).toMatch(
    /nobody yet[^]*Nothing has been changed\. To execute: ebb candidates 1 .* --execute$/m,
  )
  const approved = await ebb([...approval, '--execute'])
  expect(approved.out).toContain('Ann (OPS-7)')
  await database.admin(sql`update ${quoted(table)} set kind = 'kept' where id <= 2`)
  const refused = await ebb(['purge', '--from-candidates', '1', ...at])
  expect(refused).toMatchObject({ code: 3, out: expect.stringContaining('archive: ') as string })
  const approver = ['--approved-by', 'Bob', '--ticket', 'OPS-8']
  const purged = await ebb(['purge', '--from-candidates', '1', ...approver, '--no-archive', '--execute', ...at])
  expect(purged.code, purged.err).toBe(0)
  expect(purged.out).toContain('changed since they were recorded, and kept: 2 rows')
  expect(await count(database, table, sql`at < now() - interval '30 days'`)).toBe(2)

  const shown = objects((await ebb(['candidates', '--json', ...at])).out)
  expect(shown).toMatchObject([{ type: 'sets', sets: [{ id: '1', approvedBy: 'Bob', ticket: 'OPS-8' }] }])
  expect((await ebb(['candidates', '1', '--drop', ...at])).out).toContain('Nothing has been changed')
  expect((await ebb(['candidates', '1', '--drop', '--execute', ...at])).out).toContain('was dropped')
  expect(existsSync(file)).toBe(true)
})

test('marked now, hidden by a view, purged later', async ({ database }) => {
  const table = await eventsTable(database)
  const at = ['--url', database.url]
  await database.admin(sql`alter table ${quoted(table)} add column deleted_at timestamptz`.text)
  const marked = await ebb(['mark', display(table), ...OLD, '--set', 'deleted_at', '--execute', ...at])
  expect(marked.code, marked.err).toBe(0)
  expect(marked.out).toMatch(/^1,28\d rows of .* are marked \(run 1\)\.$/m)
  const view = await ebb(['view', display(table), '--hide-marked', 'deleted_at', '--execute', ...at])
  expect(view.code, view.err).toBe(0)
  expect(await count(database, { ...table, name: companion(table.name, '_live') })).toBeLessThan(721)

  const purge = ['purge', display(table), '--marked', 'deleted_at', '--no-archive', ...at]
  const early = await ebb([...purge, '--older-than', '1 day', '--execute'])
  expect(early.out).toContain('no row matches')
  const purged = await ebb([...purge, '--execute'])
  expect(purged.code, purged.err).toBe(0)
  expect(await count(database, table, sql`deleted_at is not null`)).toBe(0)
  expect(await count(database, table)).toBeGreaterThan(700)
})

test('stale groups: one command flags and purges', async ({ database }) => {
  const table = await eventsTable(database)
  const owner = await database.session('owner')
  const place = quoted(table)
  const groups = database.table('kinds')
  for (const statement of [
    sql`create table ${quoted(groups)} (kind text primary key, stale boolean)`,
    sql`insert into ${quoted(groups)} values ('k'), ('fresh'), ('empty')`,
    sql`update ${place} set kind = 'fresh' where at > now() - interval '40 days'`,
    sql`alter table ${place} add foreign key (kind) references ${quoted(groups)}`,
    sql`create index on ${place} (kind, at)`,
  ])
    await owner.query(statement.text)
  const words = ['--stale-group', 'kind', '--activity', 'at', '--idle', '30 days', '--flag', `${display(groups)}.stale`]
  const command = ['purge', display(table), ...words, '--no-archive', '--url', database.url]
  const planned = await ebb(command)
  expect(planned.code, planned.err).toBe(0)
  expect(planned.out).toContain('1 of 2 groups have had no activity')
  const done = await ebb([...command, '--execute'])
  expect(done.code, done.err).toBe(0)
  expect(done.out).toMatch(/1 row of .* is marked/)
  expect(await count(database, table, sql`kind = 'k'`)).toBe(0)
  expect(await count(database, groups, sql`stale`)).toBe(1)
})

plainTest.for([
  [['purge', 't', '--where', 'a', '--marked', 'b'], 'only one of'],
  [['purge', '--where', 'a'], 'Name the table'],
  [['purge', 't', '--older-than', '1 day', '--where', 'a'], '--older-than: it requires --marked'],
  [['purge', 't', '--stale-group', 'g'], "--idle '90 days'"],
  [['purge', '--from-candidates', 'one'], 'not a whole number'],
  [['purge', 't', '--from-candidates', '1', '--candidates'], 'it goes with --where or --marked only'],
  [['purge', '--from-candidates', '1', '--order-by', 'a'], '--order-by'],
  [['purge', 't', '--where', 'a', '--candidates', '--cascade'], '--cascade'],
  [['mark', 't', '--where', 'a'], '--set deleted_at'],
  [['view', 't'], 'nothing is to be hidden'],
  [['view', 't', '--by', 'a'], '--by and --keep go together'],
] as const)('wrong words: %j', async ([words, expected]) => {
  const { code, err } = await ebb([...words, '--url', 'postgres://127.0.0.1:1/nowhere'])
  expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(expected) as string })
})

test('an incomplete set is not purged, and the error says how to complete it', async ({ database }) => {
  const table = display(await eventsTable(database))
  const at = ['--url', database.url]
  const stopping = new AbortController()
  const err = {
    write: (text: string) => void (/recorded/.test(text) && stopping.abort()),
    isTTY: true,
    columns: 100,
  }
  const writing = ['purge', table, '--where', 'id > 10', '--candidates', '--pause-ms', '60000', '--execute', ...at]
  expect(await ebb(writing, { err, signal: stopping.signal })).toMatchObject({ code: 4 })

  expect((await ebb(['candidates', '1', ...at])).out).toContain(`Candidate set 1 of ${table} is not complete.`)
  for (const execute of [[], ['--execute']]) {
    const refused = await ebb(['purge', '--from-candidates', '1', '--no-archive', ...execute, ...at])
    expect(refused).toMatchObject({ code: 3, err: '' })
    expect(refused.out).toMatch(/candidates-incomplete: .*\n[^]*ebb resume 1/)
  }
})
