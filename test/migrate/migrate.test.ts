import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { beforeEach, afterEach, describe, expect } from 'vitest'
import { EXIT } from '../../src/cli/exit-codes.ts'
import { ebb, objects, type Ran } from '../cli/support.ts'
import { test, type Database } from '../support/database.ts'
import { isWaiting, until } from '../support/until.ts'

// Migration files, run as a deploy pipeline would: again after each failure, by two at once, and back down.

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ebb-migrate-'))
})
afterEach(() => rm(folder, { recursive: true }))

const up = (database: Database, ...more: string[]) => migrate(database, 'up', '--execute', ...more)
const down = (database: Database, ...more: string[]) => migrate(database, 'down', '--execute', ...more)

function migrate(database: Database, ...words: string[]): Promise<Ran> {
  return ebb(['migrate', ...words, '--folder', folder, '--url', database.url])
}

/** A file of JavaScript; `body` has what the context has. */
function module(name: string, upBody: string, downBody: string | null = 'await rollback()'): Promise<void> {
  const parts = 'partition, rebuild, purge, rotate, rollback, query'
  const text = (direction: string, body: string) =>
    `export async function ${direction}({ context: { ${parts} } }) { ${body} }\n`
  return file(`${name}.mjs`, text('up', upBody) + (downBody === null ? '' : text('down', downBody)))
}

function file(name: string, text: string): Promise<void> {
  return writeFile(join(folder, name), text)
}

async function table(database: Database, name: string): Promise<pg.Client> {
  const session = await database.session('setup')
  await session.query(
    `create table ${name} (id bigint generated always as identity primary key, at timestamptz not null)`,
  )
  await session.query(`insert into ${name} (at) select now() - n * interval '1 day' from generate_series(200, 1, -1) n`)
  return session
}

async function runs(database: Database): Promise<string[]> {
  const { rows } = await database.admin<{ run: string }>(
    `select concat_ws(' ', id, command, table_name, status) as run from ebb.run order by id`,
  )
  return rows.map(({ run }) => run)
}

async function statesOf(database: Database): Promise<Record<string, string>> {
  const { out } = await migrate(database, 'status', '--json')
  const [report] = objects(out) as [{ migrations: { migrations: { name: string; state: string }[] } }]
  return Object.fromEntries(report.migrations.migrations.map(({ name, state }) => [name, state]))
}

const PARTITION = `await partition({ table: 'events', by: 'at', every: 'month' })`

test('without --execute nothing is run; with it each once, and down undoes the last', async ({ database }) => {
  await table(database, 'events')
  await module('1-partition', PARTITION)
  await file('2-note.sql', `comment on table events is 'by month'; select count(*) from events;`)
  await file('2-note.down.sql', 'comment on table events is null;')

  const shown = await migrate(database, 'up')
  expect(shown.out).toContain('1-partition')
  expect(shown.out).toContain('ebb migrate up')
  expect((await database.admin(`select from pg_namespace where nspname = 'ebb'`)).rowCount).toBe(0)

  expect(await up(database)).toMatchObject({ code: EXIT.done })
  expect((await up(database)).out).toBe('Nothing to do.\n')
  expect(await statesOf(database)).toEqual({ '1-partition': 'applied', '2-note': 'applied' })
  const { rows } = await database.admin(
    `select obj_description('events'::regclass) as note, relkind from pg_class where oid = 'events'::regclass`,
  )
  expect(rows).toEqual([{ note: 'by month', relkind: 'p' }])

  expect((await down(database)).out).toMatch(/^undone 2-note/)
  expect((await down(database)).out).toMatch(/^undone 1-partition/)
  expect((await down(database)).out).toBe('Nothing to do.\n')
  expect(await runs(database)).toEqual(['1 partition events rolled back', '2 rollback events done'])
})

describe('interrupted between two calls', () => {
  /** The second call waits for a lock that is held for longer than it waits. */
  async function interrupted(database: Database): Promise<pg.Client> {
    await table(database, 'users')
    const holder = await table(database, 'events')
    await module(
      '1-both',
      `await rebuild({ table: 'users', keep: null }); ${PARTITION.replace('})', ', deadlineMs: 300 })')}`,
    )
    await holder.query('begin')
    await holder.query('insert into events (at) values (now())')
    expect(await up(database)).toMatchObject({ code: EXIT.tryLater, err: expect.stringContaining('1-both') as string })
    await holder.query('commit')
    return holder
  }

  test('it is told, and run again goes on where it was', async ({ database }) => {
    await interrupted(database)
    expect(await runs(database)).toEqual(['1 rebuild users done', '2 partition events running'])
    expect(await statesOf(database)).toEqual({ '1-both': 'unfinished' })
    const { out } = await migrate(database, 'status')
    expect(out).toMatch(/rebuild users: done \(run 1\)\n.*partition events: unfinished \(run 2\)\n.*stopped by: /)

    expect(await up(database)).toMatchObject({ code: EXIT.done })
    expect(await runs(database)).toEqual(['1 rebuild users done', '2 partition events done'])
  })

  test('down takes back what was done, and what was begun', async ({ database }) => {
    await interrupted(database)
    expect(await down(database)).toMatchObject({ code: EXIT.done })
    expect(await runs(database)).toEqual([
      '1 rebuild users rolled back',
      '2 partition events abandoned',
      '3 rollback users done',
    ])
    expect(await statesOf(database)).toEqual({ '1-both': 'pending' })
  })

  test('a call that is done must not be changed afterwards', async ({ database }) => {
    await interrupted(database)
    await module('1-both', `await rebuild({ table: 'users', keep: 'id > 5', noArchive: true })`)
    // A module is imported once in a process.
    await rm(join(folder, '1-both.mjs'))
    await file(
      '1-both.js',
      `export const up = ({ context }) => context.rebuild({ table: 'users', keep: 'id > 5', noArchive: true })`,
    )
    expect(await up(database)).toMatchObject({
      code: EXIT.usage,
      err: expect.stringContaining('its call 1, rebuild users, is done, and is now made with other options') as string,
    })
  })
})

describe('two deployments', () => {
  test('the second waits, says for whom, and has nothing left to do', async ({ database }) => {
    const session = await table(database, 'events')
    await session.query('create table done (at timestamptz default now())')
    await session.query('begin')
    await session.query('lock table done')
    await module('1-slow', `await query('insert into done default values')`)

    const first = up(database)
    const look = await database.session('look')
    await until(() => isWaiting(look, 'ebb migration'))
    const late = await up(database, '--deadline', '1')
    const second = up(database)
    await until(
      async () =>
        (
          await look.query(
            `select from pg_stat_activity where datname = current_database() and application_name like 'ebb migrate %'`,
          )
        ).rowCount! > 2,
    )
    await session.query('commit')

    expect(late).toMatchObject({ code: EXIT.tryLater })
    expect(late.err).toMatch(/waiting: for ebb migrate \w+ \(backend \d+\), which is running migrations/)
    expect(late.err).toMatch(/error: ebb migrate \w+ \(backend \d+\) is still running migrations after 1 s/)
    expect(await first).toMatchObject({ code: EXIT.done })
    expect(await second).toMatchObject({ code: EXIT.done, out: 'Nothing to do.\n' })
    expect((await look.query('select from done')).rowCount).toBe(1)
  })

  test('one that has lost its lease records nothing', async ({ database }) => {
    await module('1-lost', `await query("update ebb.lease set token = token + 1 where table_name = 'migration_file'")`)
    expect(await up(database)).toMatchObject({
      code: EXIT.failed,
      err: expect.stringContaining('taken over') as string,
    })
    expect(await statesOf(database)).toEqual({ '1-lost': 'unfinished' })
  })
})

describe('a file of SQL', () => {
  test('that fails is rolled back as a whole, and is not recorded', async ({ database }) => {
    await file('1-sql.sql', 'create table one (); select 1 / 0;')
    expect(await up(database)).toMatchObject({
      code: EXIT.failed,
      err: expect.stringMatching(/migration 1-sql failed: .*zero/) as string,
    })
    expect((await database.admin(`select from pg_class where relname = 'one'`)).rowCount).toBe(0)
    expect(await statesOf(database)).toEqual({ '1-sql': 'pending' })
  })

  test('is one transaction with its record: where that is refused, nothing is left', async ({ database }) => {
    const takeOver = `update ebb.lease set token = token + 1 where table_name = 'migration_file'`
    await file('1-sql.sql', `create table one (); ${takeOver};`)
    expect(await up(database)).toMatchObject({
      code: EXIT.failed,
      err: expect.stringContaining('taken over') as string,
    })
    expect((await database.admin(`select from pg_class where relname = 'one'`)).rowCount).toBe(0)
  })

  test('must not end its transaction', async ({ database }) => {
    await file('1-sql.sql', 'create table one (); commit; create table two ();')
    expect(await up(database)).toMatchObject({ code: EXIT.usage })
    expect((await database.admin(`select from pg_class where relname in ('one', 'two')`)).rowCount).toBe(0)
  })

  test('must say something: an unedited one is not recorded as applied', async ({ database }) => {
    await file('1-sql.sql', '-- Runs in one transaction, together with its record.\n')
    expect(await up(database)).toMatchObject({
      code: EXIT.usage,
      err: expect.stringContaining('no statement') as string,
    })
    expect(await statesOf(database)).toMatchObject({ '1-sql': expect.not.stringMatching('applied') as string })
  })

  test('waits for a lock without others waiting behind it, under the settings of its role', async ({ database }) => {
    const holder = await table(database, 'events')
    await holder.query('begin')
    await holder.query('select from events')
    await file('1-sql.sql', 'alter table events add column kind text;')
    const migrating = up(database)
    const reader = await database.session('reader')
    await until(() => isWaiting(reader, 'ebb migration'))
    await reader.query(`set statement_timeout = '2s'`)
    await reader.query('select from events')
    await holder.query('commit')
    const { code, err } = await migrating
    expect(code).toBe(EXIT.done)
    expect(err).toContain('not granted within lock_timeout')
  })
})

test('a policy is put in force', async ({ database }) => {
  await table(database, 'events')
  const policy = `{ partition: { by: 'at', every: '1 month' }, keep: '40 days', archive: 'none' }`
  await file(
    '1-policy.mjs',
    `export const up = async ({ context: { partition, policy } }) => {
       ${PARTITION}
       await policy({ table: 'events', policy: ${policy} })
     }`,
  )
  expect(await up(database)).toMatchObject({ code: EXIT.done })
  const { rows } = await database.admin<{ policy: object }>('select to_jsonb(s) as policy from ebb.partition_set s')
  expect(JSON.stringify(rows)).toMatch(/40/)
})

describe('down objects, and changes nothing', () => {
  test('where rows are gone', async ({ database }) => {
    const session = await table(database, 'events')
    await module('1-both', `${PARTITION}; await purge({ table: 'events', where: 'id < 10', noArchive: true })`)
    expect(await up(database)).toMatchObject({ code: EXIT.done })
    expect(await down(database)).toMatchObject({
      code: EXIT.objections,
      err: expect.stringContaining('purge of events cannot be taken back') as string,
    })
    expect(
      (await session.query(`select from pg_class where oid = 'events'::regclass and relkind = 'p'`)).rowCount,
    ).toBe(1)
  })

  test('where it is not said how, or the file is missing', async ({ database }) => {
    await module('1-one', `await query('create table one ()')`, null)
    await file('2-two.sql', 'create table two ();')
    expect(await up(database)).toMatchObject({ code: EXIT.done })
    expect(await down(database)).toMatchObject({
      code: EXIT.objections,
      err: expect.stringContaining('2-two.down.sql') as string,
    })
    await rm(join(folder, '2-two.sql'))
    expect(await statesOf(database)).toMatchObject({ '2-two': 'missing' })
    expect(await down(database)).toMatchObject({
      code: EXIT.objections,
      err: expect.stringContaining('missing') as string,
    })
    await file('2-two.sql', 'create table two ();')
    await file('2-two.down.sql', 'drop table two;')
    expect(await down(database)).toMatchObject({ code: EXIT.done })
    expect(await down(database)).toMatchObject({
      code: EXIT.objections,
      err: expect.stringContaining('exported function called down') as string,
    })
  })

  test('and what is undone in part has to be undone first', async ({ database }) => {
    await module('1-one', '', `await query('select 1 / 0')`)
    await up(database)
    expect(await down(database)).toMatchObject({ code: EXIT.failed })
    expect(await up(database)).toMatchObject({
      code: EXIT.objections,
      err: expect.stringContaining('undone in part') as string,
    })
  })
})

describe('a file that is no migration', () => {
  const FILES = [
    ['exports nothing', '1.js', 'export const other = 1', 'exports no function called up'],
    ['cannot be imported', '1.js', 'throw new Error("no such thing")', 'cannot be imported: no such thing'],
  ] as const

  test.for(FILES)('because it %s', async ([, name, text, said], { database }) => {
    await file(name, text)
    expect(await up(database)).toMatchObject({ code: EXIT.usage, err: expect.stringContaining(said) as string })
  })

  test('what was done before it is told', async ({ database }) => {
    await table(database, 'events')
    await file('1-note.sql', `comment on table events is 'noted'`)
    await module('2-both', `${PARTITION}; await rotate({ tables: ['missing'] })`)
    const { err } = await up(database)
    expect(err).toContain(
      'now: This call has changed nothing. What was done before it is kept: see ebb migrate status. Applied before it: 1-note.\n',
    )
    await rm(join(folder, '2-both.mjs'))
    await file('3-note.sql', '')
    await file('4-none.mjs', '')
    expect((await up(database)).err).toContain('now: This migration has changed nothing. Applied before it: 3-note.\n')
  })

  test('because its name is taken', async ({ database }) => {
    await Promise.all([file('1.js', ''), file('1.sql', '')])
    expect(await up(database)).toMatchObject({
      code: EXIT.usage,
      err: expect.stringContaining('two migrations called 1') as string,
    })
  })
})

test('create writes files that run, and none over another', async ({ database }) => {
  folder = join(folder, 'new')
  for (const type of ['js', 'ts', 'sql'])
    expect((await ebb(['migrate', 'create', `of-${type}`, '--type', type, '--folder', folder])).code).toBe(EXIT.done)
  const names = Object.keys(await statesOf(database))
  expect(names.map((name) => name.replace(/^\d{14}-/, ''))).toEqual(['of-js', 'of-sql', 'of-ts'])
  await mkdir(folder, { recursive: true })
  expect((await ebb(['migrate', 'create', '../x', '--folder', folder])).code).toBe(EXIT.usage)
})
