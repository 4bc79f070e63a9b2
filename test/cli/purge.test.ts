import { execFileSync } from 'node:child_process'
import { describe, expect } from 'vitest'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { contentOf } from '../support/purging.ts'
import { ebb, eventsTable, objects } from './support.ts'

const WHERE = ['--where', "at < now() - interval '30 days'"]
/** Of 2000 hours. */
const GONE = 1281

function purge(table: TableName, database: Database, ...words: string[]): string[] {
  return ['purge', display(table), ...words, '--no-archive', '--url', database.url]
}

async function expectUntouched(database: Database, table: TableName): Promise<void> {
  expect(await contentOf(database, table)).toMatchObject({ rows: 2000 })
  const { rows } = await database.admin(`select from pg_namespace where nspname = 'ebb'`)
  expect(rows).toEqual([])
}

test('without --execute the plan is shown, and psql would run none of it', async ({ database, needs }) => {
  const psql = needs('psql')
  const table = await eventsTable(database)
  const { code, out, err } = await ebb(purge(table, database, ...WHERE))
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const text = out.replace(/\n-- +/g, ' ')
  for (const part of [
    /^-- purge .* of the rows where at < now\(\)/,
    /about 1,2\d\d of 2,000 rows match/,
    /in ROW EXCLUSIVE for milliseconds, which blocks neither reads nor writes/,
    /for update skip locked/,
    /delete from only .* is true returning 1/,
    /vacuum \(analyze, truncate false, skip_locked\)/,
    /Nothing has been changed\. To execute: ebb purge .* --no-archive .*--execute\n$/,
  ])
    expect(text).toMatch(part)
  expect(() =>
    execFileSync(psql, ['--no-psqlrc', '--quiet', database.url], { input: out, stdio: ['pipe', 'ignore', 'pipe'] }),
  ).toThrow('This plan is for reading')
  await expectUntouched(database, table)
})

test('the estimate includes the lookups of referencing rows', async ({ database }) => {
  const table = await eventsTable(database)
  const client = await database.session('setup')
  await client.query(`create table notes as select 1::bigint as event_id from generate_series(1, 100000)`)
  await client.query(`alter table notes add foreign key (event_id) references ${quoted(table).text}; analyze notes`)
  const accept = ['--accept', 'unindexed:public.notes.notes_event_id_fkey']
  const { out } = await ebb(purge(table, database, '--where', 'id > 1', ...accept))
  expect(out.replace(/\n-- +/g, ' ')).toMatch(/about 1,9\d\d rows, (([2-9]|\d\d) s|\d+ min) plus pauses/)
})

test('--execute deletes and reports; repeated, it does nothing', async ({ database }) => {
  const table = await eventsTable(database)
  const done = await ebb([...purge(table, database, ...WHERE), '--execute'])
  expect(done.code, done.err).toBe(0)
  expect(done.err).toMatch(/deleting, [\d,]+ rows gone: 100 %/)
  expect(done.out).toContain('is purged of 1,281 rows (run 1).')
  for (const line of [/batches +\d+/, /time taken/, /slowest batch +[\d.]+ m?s/, /WAL written by the server/])
    expect(done.out).toMatch(line)
  expect(done.out).toContain('No matching rows are left.')
  expect(await contentOf(database, table)).toMatchObject({ rows: 2000 - GONE })
  expect((await ebb(['status', '--url', database.url])).out).toMatch(/1 {2}purge .* done, 1,281 rows gone/)

  const again = await ebb([...purge(table, database, ...WHERE), '--execute'])
  expect(again).toMatchObject({
    code: 0,
    out: expect.stringContaining('no row matches, nothing to do') as string,
  })
  const shown = await ebb(purge(table, database, ...WHERE))
  expect(shown.out).toContain('there is nothing to do')
})

test('JSON: deleted rows, batch figures, remaining rows', async ({ database }) => {
  const table = await eventsTable(database)
  const { out } = await ebb([...purge(table, database, ...WHERE), '--execute', '--json'])
  expect(objects(out).at(-1)).toMatchObject({
    type: 'result',
    result: {
      runId: '1',
      table,
      figures: { rows: GONE, locked: 0, held: 0, tables: [{ table: display(table), rows: GONE }] },
      remaining: { matching: 0, held: 0 },
    },
  })
})

test('a stopped run is resumed, and the plan shows what is left', async ({ database }) => {
  const table = await eventsTable(database)
  const stopping = new AbortController()
  let told = ''
  const write = (text: string) => {
    told += text
    if (/deleting/.test(text)) stopping.abort()
  }
  const words = [...purge(table, database, ...WHERE), '--execute']
  // In a pause: a batch under way is cancelled, which comes to the same by another way.
  const stopped = await ebb([...words, '--pause-ms', '60000'], {
    err: { write, isTTY: true, columns: 100 },
    signal: stopping.signal,
  })
  expect(stopped.code).toBe(4)
  expect(told).toMatch(/error: stopped on request, while purging .*\n {2}now: Gone so far: [1-9]\d+ rows, /)
  expect(told).toMatch(/next: .*ebb resume 1 --execute/)
  const status = await ebb(['status', '--url', database.url])
  expect(status.out).toMatch(/purge .* unfinished, 0 of 3 steps done, [\d,]+ rows gone/)
  expect(status.out).toContain('\n      stopped on request, while purging')
  expect(status.out).toContain('stop here: ebb abandon 1 --execute')
  for (const left of [purge(table, database, ...WHERE), ['resume', '--url', database.url]])
    expect((await ebb(left)).out).toMatch(/run 1 has begun: [1-9]\d+ rows gone so far, and it resumes from there/)
  const other = await ebb(purge(table, database, '--where', 'id = 5'))
  expect(other).toMatchObject({ code: 3, err: expect.stringContaining('run 1 (ebb purge ') as string })
  const resumed = await ebb(['resume', '--url', database.url, '--execute'])
  expect(resumed.code, resumed.err).toBe(0)
  expect(resumed.err).toMatch(/note: resuming run 1: [1-9]\d+ rows gone so far/)
  expect(resumed.out).toMatch(/pauses, since it was resumed +none/)
  expect(resumed.out).toContain('is purged of 1,281 rows (run 1).')
})

test('rows that stay locked are reported, with the exit code for trying again', async ({ database }) => {
  const table = await eventsTable(database)
  const app = await database.session('app')
  await app.query('begin')
  await app.query(sql`select from ${quoted(table)} where id = 7 for update`)
  const { code, out } = await ebb([...purge(table, database, ...WHERE), '--execute', '--deadline', '1'])
  expect(code).toBe(75)
  expect(out).toMatch(/Matching rows left: 1 row\n +locked by others at every attempt: 1 row;/)
})

test('a condition is not to blame for a session that ends while it is read', async ({ database }) => {
  const table = await eventsTable(database)
  // It is called when the condition is planned.
  await database.admin(`create function public.ends() returns boolean immutable language plpgsql as
    $$ begin return pg_terminate_backend(pg_backend_pid()); end $$; alter function public.ends() owner to ebb_owner`)
  const { code, err } = await ebb(purge(table, database, '--where', 'id > 0 and public.ends()'))
  expect({ code, isToBlame: err.includes('does not fit') }, err).toEqual({ code: 75, isToBlame: false })
})

describe('errors are reported before anything is changed', () => {
  test.for<[string, string[], number, RegExp]>([
    [
      'a value that is none, behind a moment that is fixed',
      ['--where', "at < now() - interval '9 dais'"],
      2,
      /invalid input syntax.*\n {11}at < now\(\) - interval '9 dais'\n {33}\^/,
    ],
    ['a syntax error', ['--where', 'kind = = 1'], 2, /cannot be read: syntax error.*\n +kind = = 1\n +\^/],
    ['a subquery', ['--where', 'id in (select 1)'], 2, /contains a subquery:\n/],
    ['a volatile function', ['--where', 'id < random() * 10'], 3, /random\(\) .* gives another answer each time/],
    ['a column that is not there', ['--where', 'nonsense = 1'], 2, /does not fit .*nonsense[^]*\^/],
    ['no condition', [], 2, /missing required option --where/],
    ['an empty condition', ['--where', ' '], 2, /the condition is empty/],
    ['every row', ['--where', 'id > 0'], 3, /every row of .* matches[^]*--all-rows[^]*truncate/],
    ['an order by what is no column', [...WHERE, '--order-by', 'nothing'], 3, /has no column nothing/],
    ['an order that no index has', [...WHERE, '--order-by', 'kind'], 3, /no index of .* begins with kind/],
    [
      'a value that cannot be read, which is not told',
      ['--where', 'kind::int = 7'],
      2,
      /the condition fails on some row of \S+: invalid text representation \(SQLSTATE 22P02\)\n +SQLSTATE 22P02\n +detail: values of rows/,
    ],
    [
      'a function that fails on some row',
      ['--where', '1 / (id - 1000) = 7'],
      2,
      /the condition fails.*division by zero/,
    ],
  ])('%s', async ([, words, code, message], { database }) => {
    const table = await eventsTable(database)
    const ran = await ebb([...purge(table, database, ...words), '--execute'])
    expect(ran.out.replace(/\n-- +/g, ' ') + ran.err).toMatch(message)
    expect(ran.code).toBe(code)
    await expectUntouched(database, table)
  })

  test('deletion without an archive requires an option', async ({ database }) => {
    const table = await eventsTable(database)
    const words = ['purge', display(table), ...WHERE, '--url', database.url, '--execute']
    expect(await ebb(words)).toMatchObject({ code: 3, out: expect.stringContaining('pass --no-archive') as string })
    const both = await ebb([...words, '--archive', '/var/archive', '--no-archive'])
    expect(both).toMatchObject({
      code: 2,
      err: expect.stringContaining('--no-archive: it contradicts --archive') as string,
    })
    await expectUntouched(database, table)
  })

  test('missing privileges to delete, lock, or read', async ({ database }) => {
    const table = await eventsTable(database)
    const role = await database.role('visitor')
    await database.admin(sql`grant usage on schema ${ident(table.schema)} to ${ident(role)}`.text)
    await database.admin(sql`grant create on database ${ident(database.name)} to ${ident(role)}`.text)
    const words = ['purge', display(table), ...WHERE, '--no-archive', '--url', database.urlFor(role), '--execute']
    for (const lacking of [/lacks select, update, delete/, /lacks update, delete/, /lacks delete/]) {
      const { code, out } = await ebb(words)
      expect(out.replace(/\n-- +/g, ' ')).toMatch(lacking)
      expect(code).toBe(3)
      const next = lacking.source.includes('select') ? 'select' : 'update'
      await database.admin(
        sql`grant ${ident(next)} on ${quoted(table)} to ${ident(role)}`.text.replaceAll(`"${next}"`, next),
      )
    }
    await expectUntouched(database, table)
    await database.admin(sql`grant delete on ${quoted(table)} to ${ident(role)}`.text)
    const done = await ebb(words)
    expect(done.code, done.err).toBe(0)
  })

  test('a view, and a policy that hides rows', async ({ database }) => {
    const table = await eventsTable(database)
    const owner = await database.session('owner')
    await owner.query(sql`create view recent as select * from ${quoted(table)}`.text)
    const view = await ebb(['purge', 'recent', ...WHERE, '--no-archive', '--url', database.url])
    expect(view).toMatchObject({ code: 3, out: expect.stringMatching(/is a view/) as string })
    await owner.query(sql`alter table ${quoted(table)} enable row level security`.text)
    await owner.query(sql`alter table ${quoted(table)} force row level security`.text)
    if (process.env.EBB_TEST_ROLE === 'superuser') return
    const hidden = await ebb(purge(table, database, ...WHERE))
    expect(hidden).toMatchObject({ code: 3, out: expect.stringMatching(/row-level security hides rows/) as string })
  })

  test('cascading deletes in other tables, and rules that rewrite deletes', async ({ database }) => {
    const table = await eventsTable(database)
    const owner = await database.session('owner')
    const place = quoted(table)
    await owner.query(sql`create table notes (event bigint references ${place} (id) on delete cascade)`.text)
    await owner.query(sql`create rule "Not so" as on delete to ${place} do instead nothing`.text)
    const { code, out } = await ebb(purge(table, database, ...WHERE))
    expect(code).toBe(3)
    expect(out).toContain('rows of public.notes would be deleted with the rows')
    expect(out).toContain('disable rule "Not so"')
  })
})

test('deleting all rows requires an option', async ({ database }) => {
  const table = await eventsTable(database)
  const done = await ebb([...purge(table, database, '--where', 'true', '--all-rows'), '--execute'])
  expect(done.code, done.err).toBe(0)
  expect(await contentOf(database, table)).toMatchObject({ rows: 0 })
})

test('a referenced row is skipped, and reported', async ({ database }) => {
  const table = await eventsTable(database)
  const owner = await database.session('owner')
  await owner.query(sql`create table notes (event bigint references ${quoted(table)} (id))`.text)
  await owner.query('create index on notes (event); insert into notes values (100)')
  const done = await ebb([...purge(table, database, ...WHERE), '--execute'])
  expect(done.code, done.err).toBe(0)
  expect(done.out).toMatch(/Matching rows left: 1 row\n +skipped, referenced by public\.notes\.notes_event_fkey: 1 row/)
  expect(await contentOf(database, table, 'id <> 100')).toMatchObject({ rows: 1 })
})
