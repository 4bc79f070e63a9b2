import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { EbbError } from '../../src/errors.ts'
import type { PurgeRequest } from '../../src/plan/purge/request.ts'
import { display, quoted, type TableName } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, contentOf, expectPurged, purgeRequest, purgeRows } from '../support/purging.ts'
import { quietly, written } from '../support/tool.ts'
import { planCandidatesOf, planPurgeOf } from '../support/commands.ts'

// Tables that are not as one would have them: triggers that say no, rules and triggers above partitions, conditions that
// take their time, keys of every type.

const SMALL = { turns: batchesOf(50) }

/** Runs statements as the table's owner, with `visits` for the table's name. */
async function made(database: Database, ...statements: string[]): Promise<TableName> {
  const table = database.table('visits')
  const owner = await database.session('owner')
  for (const statement of [...statements, 'analyze visits'])
    await owner.query(statement.replaceAll('visits', quoted(table).text))
  return table
}

const PARTED = [
  'create table visits (id int primary key, kind text) partition by range (id)',
  'create table only_part partition of visits default',
  `insert into visits select n, case when n % 2 = 0 then 'old' else 'new' end from generate_series(1, 1000) n`,
]
const SLOWLY = `create function slowly(kind text) returns boolean language plpgsql stable parallel unsafe as $$ begin perform pg_sleep(0.0004); return kind = 'old'; end $$`
const NOTHING = `create function nothing() returns trigger language plpgsql as $$ begin return null; end $$`

describe('triggers', () => {
  test('that keep a row are reported, and not waited for', async ({ database, judgeTimes }) => {
    const table = await made(
      database,
      'create table visits (id int primary key, kind text)',
      `insert into visits select n, 'old' from generate_series(1, 500) n`,
      NOTHING,
      'create trigger keeps before delete on visits for each row when (old.id % 100 = 0) execute function nothing()',
    )
    const began = performance.now()
    const { figures, remaining } = await purgeRows(database, table, purgeRequest('id > 10'), SMALL)
    const tookMs = performance.now() - began
    expect(figures).toMatchObject({ rows: 485, locked: 0, refused: [{ why: 'a trigger keeps them' }] })
    expect(figures?.refused.reduce((sum, { rows }) => sum + rows, 0)).toBe(5)
    expect(remaining).toMatchObject({ matching: 5 })
    await judgeTimes(() => expect(tookMs).toBeLessThan(5_000))
  })

  test.for([
    ['that match go in their turn', `kind = 'old'`, 0, 'before'],
    ['that match go in their turn', `kind = 'old'`, 0, 'after'],
    ['that do not match stay, and so do those', `true`, 19, 'after'],
  ] as const)('that delete other rows: rows %s (%s)', async ([, which, left, moment], { database }) => {
    const table = await made(
      database,
      'create table visits (id int primary key, parent int, kind text)',
      `insert into visits select n, n / 10, case when n % 2 = 0 then 'old' else 'new' end from generate_series(1, 400) n`,
      `create function kids() returns trigger language plpgsql as $$ begin delete from visits where parent = old.id and ${which}; return old; end $$`,
      `create trigger kids ${moment} delete on visits for each row execute function kids()`,
    )
    const { figures, remaining } = await purgeRows(database, table, purgeRequest(`kind = 'old'`), SMALL)
    expect(await contentOf(database, table, `kind = 'old'`)).toMatchObject({ rows: 200 })
    expect(figures?.rows).toBe(200 - left)
    expect(remaining).toMatchObject({ matching: left })
  })

  test('that miss a table of their own do not mean that the purged table was dropped', async ({ database }) => {
    const table = await made(
      database,
      'create table visits (id int primary key, kind text)',
      `insert into visits select n, 'old' from generate_series(1, 500) n`,
      `create function breaks() returns trigger language plpgsql as $$ begin perform 1 from nowhere; return old; end $$`,
      'create trigger breaks after delete on visits for each row execute function breaks()',
    )
    const error: unknown = await purgeRows(database, table, purgeRequest('id > 10'), SMALL).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(EbbError)
    expect((error as EbbError).message).toMatch(/nowhere/)
    expect(await contentOf(database, table)).toMatchObject({ rows: 500 })
  })

  test('that fire for statements on a partitioned table would not, which has to be accepted', async ({ database }) => {
    const table = await made(
      database,
      ...PARTED,
      NOTHING,
      'create trigger audits after delete on visits referencing old table as gone for each statement execute function nothing()',
    )
    const request = purgeRequest(`kind = 'old'`)
    const { objections } = await planPurgeOf(database.url, written(table), request, quietly())
    expect(objections).toMatchObject([{ code: expect.stringMatching(/^statement-trigger:.*audits$/) as string }])
    await expectPurged(database, table, { ...request, accept: objections.map(({ code }) => code) }, SMALL)
  })
})

test('a rule of a partitioned table is not bypassed', async ({ database }) => {
  const table = await made(database, ...PARTED, 'create rule never as on delete to visits do instead nothing')
  const { objections } = await planPurgeOf(database.url, written(table), purgeRequest(`kind = 'old'`), quietly())
  expect(objections).toMatchObject([{ code: expect.stringMatching(/^rule:.*never$/) as string }])
})

test('a virtual column that a partition computes in another way selects nothing', async ({ database, skip }) => {
  if (database.version < 180_000) skip('virtual columns exist from 18 on')
  const table = await made(
    database,
    'create table visits (id int primary key, net numeric, gross numeric generated always as (net * 1.07) virtual) partition by range (id)',
    'create table other_part (id int not null, net numeric, gross numeric generated always as (net * 1.20) virtual)',
    'insert into other_part select n, n from generate_series(1, 100) n',
    'alter table visits attach partition other_part for values from (1) to (101)',
  )
  const request = purgeRequest('gross > 100')
  const { objections } = await planPurgeOf(database.url, written(table), request, quietly())
  expect(objections).toMatchObject([{ code: expect.stringMatching(/^computed:.*\.gross$/) as string }])
  await expectPurged(database, table, purgeRequest('net * 1.07 > 100'), SMALL)
  expect(await contentOf(database, table)).toMatchObject({ rows: 93 })
})

test('a partition given another expression for a virtual column before a purge is resumed keeps its rows', async ({
  database,
  skip,
}) => {
  if (database.version < 180_000) skip('virtual columns exist from 18 on')
  const table = await made(
    database,
    'create table visits (id int primary key, net numeric, gross numeric generated always as (net * 2) virtual) partition by range (id)',
    'create table first_part partition of visits for values from (1) to (101)',
    'insert into visits select n, n from generate_series(1, 100) n',
  )
  const owner = await database.session('owner')
  const turns = {
    turn: (last: unknown) => (last === null ? Promise.resolve({ rows: 10 }) : Promise.reject(new Error('stop here'))),
  }
  const request = purgeRequest('gross > 100')
  await expect(purgeRows(database, table, request, { turns })).rejects.toThrow('stop here')
  const { rows: left } = await contentOf(database, table)
  await owner.query('alter table first_part alter column gross set expression as (net * 200)')
  await expect(purgeRows(database, table, request)).rejects.toMatchObject({
    message: expect.stringContaining('computes the virtual column gross by another expression') as string,
  })
  expect(await contentOf(database, table)).toMatchObject({ rows: left })
  await owner.query('alter table first_part alter column gross set expression as (net * 2)')
  await purgeRows(database, table, request)
  expect(await contentOf(database, table)).toMatchObject({ rows: 50 })
})

describe('if a batch would take too long, it reads less', () => {
  // Batches are to end before `deadlock_timeout`.
  const hurried = (database: Database) =>
    database.admin(
      `do $$ begin execute format('alter database %I set deadlock_timeout = 100', current_database()); end $$`,
    )

  test('along an index that passes many other rows', async ({ database }) => {
    await hurried(database)
    const table = await made(
      database,
      'create table visits (id int primary key, kind text)',
      `insert into visits select n, case when n % 100 < 4 then 'old' else 'new' end from generate_series(1, 1200) n`,
      SLOWLY,
    )
    const request = purgeRequest(`public.slowly(kind)`, { orderBy: 'id', allRows: true })
    const { figures } = await purgeRows(database, table, request, SMALL)
    expect(figures?.rows).toBe(48)
    // One by one, it would be as many as rows.
    expect(figures?.batches).toBeLessThan(30)
  })

  test('by blocks, with a slow condition', async ({ database, judgeTimes }) => {
    await hurried(database)
    const table = await made(
      database,
      `create table visits (id int primary key, kind text, note text default repeat('x', 900))`,
      `insert into visits select n, case when n % 40 = 0 then 'old' else 'new' end from generate_series(1, 1200) n`,
      SLOWLY,
    )
    const began = performance.now()
    const { figures, remaining } = await purgeRows(
      database,
      table,
      purgeRequest(`public.slowly(kind)`, { allRows: true }),
      { turns: batchesOf(1000) },
    )
    const tookMs = performance.now() - began
    expect(figures?.rows).toBe(30)
    expect(remaining).toMatchObject({ matching: 0 })
    await judgeTimes(() => {
      // Not more than a batch or so of those allowed for a single row alone.
      expect(figures?.slowestMs).toBeLessThan(1_000)
      expect(tookMs).toBeLessThan(30_000)
    })
  })
})

describe('in the order of', () => {
  test.for<[string, string]>([
    ['float8', `case n % 50 when 0 then 'NaN'::float8 when 1 then '-Infinity' when 2 then '-0' else n / 7.0 end`],
    ['numeric(20, 10)', `case n % 50 when 0 then 'NaN'::numeric else n / 7.0 end`],
    ['text collate "C"', `chr(n % 5000 + 32) || n % 3`],
    ['text collate "und-x-icu"', `case n % 3 when 0 then 'ä' when 1 then 'A' else 'a''"\\' end || n % 40`],
    ['text collate folded', `case n % 3 when 0 then 'ä' when 1 then 'A' else 'a' end || n % 300`],
    ['amount', `n % 70`],
    ['interval', `n % 90 * interval '1 month 3 days -2 hours'`],
    ['int[]', `array[n % 40, null, n]`],
    ['bytea', `decode(md5((n % 50)::text), 'hex')`],
    ['"char"', `(n % 90 + 33)::"char"`],
    ['char(12)', `'x ' || n % 30`],
    ['bit(12)', `(n % 500)::bit(12)`],
    [
      'timestamptz',
      `case n % 40 when 0 then '-infinity'::timestamptz when 1 then '0044-03-15 BC' else '2026-01-01'::timestamptz + n * interval '1.000001 s' end`,
    ],
    ['boolean', `n % 2 = 0`],
    ['point_of_sale', `row(n % 9, 'a,"b')::point_of_sale`],
  ])('%s', async ([type, value], { database }) => {
    const owner = await database.session('settings')
    await owner.query(
      `do $$ begin execute format('alter database %I set extra_float_digits = -10', current_database()); end $$`,
    )
    const table = await made(
      database,
      `create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
      `create domain amount as numeric(8, 2) check (value >= 0)`,
      `create type point_of_sale as (a int, b text)`,
      `create table visits (k ${type} not null, n int not null, kind text, gone int, "t" int default 1, ebb_at int default 2)`,
      `alter table visits drop column gone`,
      `create index on visits (k, n)`,
      `insert into visits (k, n, kind) select ${value}, n, case when n % 3 > 0 then 'old' else 'new' end from generate_series(1, 900) n`,
    )
    const request = purgeRequest(`kind = $q$old$q$ and "t" = 1 and ebb_at = 2 -- ? :x $1`, { orderBy: 'k' })
    await expectPurged(database, table, request, { turns: batchesOf(7) })
  })
})

test('a restricting foreign key does not end the run, in any version', async ({ database }) => {
  const table = await made(
    database,
    'create table visits (id int primary key, kind text)',
    `insert into visits select n, 'old' from generate_series(1, 500) n`,
  )
  const [owner, app] = [await database.session('owner'), await database.session('app')]
  await owner.query(
    `create table notes (visit int references ${quoted(table).text} on delete restrict); create index on notes (visit)`,
  )
  let turns = 0
  const { figures } = await purgeRows(database, table, purgeRequest('id > 10'), {
    turns: {
      turn: async () => {
        // Not committed when the batch looks, and there when it deletes.
        if (++turns === 3) {
          await app.query('begin')
          await app.query('insert into notes values (120)')
          setTimeout(() => void app.query('commit'), 15)
        }
        return { rows: 50 }
      },
    },
  })
  expect(figures?.rows).toBe(489)
  expect((await app.query(sql`select from ${quoted(table)} where id = 120`)).rowCount).toBe(1)
})

describe('existing obstacles are reported beforehand', () => {
  const codesOf = async (database: Database, table: TableName, request: Partial<PurgeRequest> = {}) => {
    const { objections } = await planPurgeOf(
      database.url,
      written(table),
      purgeRequest(`kind = 'old'`, request),
      quietly(),
    )
    return objections.map(({ code }) => code)
  }

  test('a foreign key to a table that inherits from it', async ({ database }) => {
    const table = await made(
      database,
      'create table visits (id int primary key, kind text)',
      'create table heirs (primary key (id)) inherits (visits)',
      'create table notes (visit int references heirs on delete cascade)',
      `insert into heirs select n, 'old' from generate_series(1, 10) n`,
    )
    expect(await codesOf(database, table, { cascade: true, allRows: true })).toEqual([
      'onto-partition:public.notes.notes_visit_fkey',
    ])
  })

  test('a rule of a table with cascading deletes', async ({ database }) => {
    const table = await made(
      database,
      'create table visits (id int primary key, kind text)',
      'create table notes (visit int primary key references visits on delete cascade)',
      'create rule never as on delete to notes do instead nothing',
      `insert into visits select n, 'old' from generate_series(1, 10) n`,
    )
    expect(await codesOf(database, table, { cascade: true, allRows: true })).toEqual(['rule:public.notes.never'])
  })

  test('keys that cannot be sent: text in a SQL_ASCII database is not used as a key', async ({ database }) => {
    await database.admin('update pg_database set encoding = 0 where datname = current_database()')
    const table = await made(
      database,
      'create table visits (id text primary key, kind text)',
      `insert into visits select 'x' || n, case when n % 2 = 0 then 'old' end from generate_series(1, 100) n`,
      `set client_encoding = 'SQL_ASCII'; insert into visits select E'\\\\351' || n, 'old' from generate_series(1, 300) n`,
    )
    expect(await codesOf(database, table, { orderBy: 'id' })).toEqual([`order-by:${display(table)}`])
    const { objections } = await planCandidatesOf(database.url, written(table), { where: `kind = 'old'` }, quietly())
    expect(objections).toMatchObject([{ code: 'no-key' }])
    const { figures, remaining } = await purgeRows(database, table, purgeRequest(`kind = 'old'`), SMALL)
    expect(figures).toMatchObject({ rows: 350, refused: [] })
    expect(remaining).toMatchObject({ matching: 0 })
  })
})

test('a partition on an unreachable server is no matter if none of its rows match', async ({ database }) => {
  await database.admin('create extension postgres_fdw; grant usage on foreign data wrapper postgres_fdw to public')
  const table = await made(
    database,
    'create table visits (id int not null, kind text) partition by range (id)',
    'create table near_part partition of visits for values from (0) to (1000)',
    `create server away foreign data wrapper postgres_fdw options (host '127.0.0.1', port '1')`,
    `create user mapping for current_user server away options (user 'nobody', password 'none')`,
    'create foreign table far_part partition of visits for values from (1000) to (2000) server away',
    `insert into near_part select n, 'old' from generate_series(1, 100) n; analyze near_part`,
  ).catch((error: unknown) => {
    // `made` ends by analysing the whole, which reads the one that is away.
    if (/could not connect/.test(String(error))) return database.table('visits')
    throw error
  })
  const { steps, remaining } = await purgeRows(database, table, purgeRequest('id < 50', { vacuum: true }), SMALL)
  expect(steps.map(({ key }) => key)).toContain('analyze')
  expect(remaining).toMatchObject({ matching: 0 })
})

test('a trigger that marks rows instead of deleting them is reported', async ({ database }) => {
  const table = await made(
    database,
    'create table visits (id int primary key, kind text, gone boolean)',
    `create function soft() returns trigger language plpgsql as $$ begin update visits set gone = true where id = old.id; return null; end $$`,
    'create trigger soft before delete on visits for each row execute function soft()',
    `insert into visits select n, case when n % 2 = 0 then 'old' end from generate_series(1, 60) n`,
  )
  const before = await contentOf(database, table)
  const { figures, remaining } = await purgeRows(database, table, purgeRequest(`kind = 'old'`), SMALL)
  const why = 'a trigger keeps them, and changes rows of the table instead of letting them go'
  expect(figures).toMatchObject({ rows: 0, refused: [{ why, rows: 30 }] })
  expect(remaining).toMatchObject({ matching: 30 })
  expect(await contentOf(database, table)).toEqual(before)
})

test('idle_session_timeout of a role does not end a pausing run', async ({ database }) => {
  const table = await made(
    database,
    'create table visits (id int primary key, kind text)',
    `insert into visits select n, 'old' from generate_series(1, 100) n`,
  )
  await database.admin(
    `do $$ begin execute format('alter database %I set idle_session_timeout = 600', current_database()); end $$`,
  )
  const pausing = { turn: () => sleep(700, { rows: 60 }) }
  const { figures } = await purgeRows(database, table, purgeRequest('id > 10'), { turns: pausing })
  expect(figures?.rows).toBe(90)
})
