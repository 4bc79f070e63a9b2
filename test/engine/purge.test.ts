import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { Event } from '../../src/events.ts'
import { batchStatement, rangeStatement } from '../../src/plan/purge/batch.ts'
import { ALONE } from '../../src/plan/purge/work.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, raw, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { createEvents } from '../support/events-table.ts'
import { batchesOf, contentOf, expectPurged, purgeRequest, purgeRows } from '../support/purging.ts'
import { quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { planPurgeOf } from '../support/commands.ts'

/** Small enough for several batches, and for positions in the midst of a block. */
const SMALL = { turns: batchesOf(70) }

/** Makes a table from what stands in its parentheses, and fills it. */
async function made(database: Database, columns: string, rows: string, more: string[] = []): Promise<TableName> {
  const table = database.table('visits')
  const owner = await database.session('setup')
  const place = quoted(table)
  for (const statement of [
    sql`create table ${place} ${raw(columns)}`,
    ...more.map((text) => raw(text.replaceAll('visits', place.text))),
    sql`insert into ${place} ${raw(rows)}`,
    sql`analyze ${place}`,
  ])
    await owner.query(statement.text)
  return table
}

async function walksOf(database: Database, table: TableName, request: ReturnType<typeof purgeRequest>) {
  const { purge } = await planPurgeOf(database.url, written(table), request, quietly())
  return purge?.leaves.map(({ walk }) => (walk.kind === 'key' ? walk.index : 'blocks'))
}

describe('matching rows are deleted, and no others', () => {
  test('in an ordinary table', async ({ database }) => {
    const table = await made(
      database,
      '(id bigint primary key, kind int, note text)',
      `select n, n % 7, repeat('x', n % 50) from generate_series(1, 3000) n`,
    )
    const request = purgeRequest('kind < 5')
    expect(await walksOf(database, table, request)).toEqual(['blocks'])
    const { figures } = await expectPurged(database, table, request, SMALL)
    expect(figures?.batches).toBeGreaterThan(20)
  })

  test('where they lie close together after few of them: no batch has many more than it may', async ({ database }) => {
    const table = await made(
      database,
      '(id int primary key, kind text, note text)',
      `select n, case when n / 2800 % 2 = 1 or n % 20 = 0 then 'old' else 'new' end, repeat('x', 80) from generate_series(1, 24000) n`,
    )
    const rows = 100
    await expectPurged(database, table, purgeRequest(`kind = 'old'`), { turns: batchesOf(rows) })
    const { rows: batches } = await database.admin<{ most: number }>(
      'select max(rows)::int as most from ebb.purge_batch',
    )
    expect(batches[0]?.most).toBeLessThanOrEqual(3 * rows)
  })

  test('without a key, with duplicate rows, with NULLs in the condition', async ({ database }) => {
    const table = await made(
      database,
      '(kind int, note text)',
      `select nullif(n % 4, 0), 'same' from generate_series(1, 2000) n`,
    )
    await expectPurged(database, table, purgeRequest('kind in (1, 2) -- and not NULL'), SMALL)
    await expectPurged(database, table, purgeRequest('kind is null'), SMALL)
  })

  test('with dropped and generated columns, domains and large values', async ({ database }) => {
    const table = await made(
      database,
      '(gone int, id int primary key, size int generated always as (id % 10) stored, note text, tags text[])',
      `(id, note, tags) select n, (select string_agg(md5(n::text || g), '') from generate_series(1, 100) g), array['a', n::text] from generate_series(1, 600) n`,
      ['alter table visits drop column gone', 'alter table visits add constraint "odd" check (id > 0)'],
    )
    await expectPurged(database, table, purgeRequest(`size = 3 or 'a' = any (tags) and id % 2 = 0`), SMALL)
  })

  test('of a table with all kinds of dependent objects', async ({ database }) => {
    const { events } = await createEvents(database, { rows: 2000, rowSecurity: true, publication: true })
    await database.admin(sql`alter table ${quoted(events)} disable rule "No deletes. At all"`)
    const { figures } = await expectPurged(database, events, purgeRequest(`kind = 'order' and id % 3 <> 0`), SMALL)
    expect(figures?.tables).toHaveLength(1)
  })

  test('by a function on the search path of the role', async ({ database }) => {
    const table = await made(database, '(id int primary key)', 'select generate_series(1, 500)', [
      `create schema helpers; create function helpers.odd(n int) returns bool language sql immutable as 'select n % 2 = 1'`,
    ])
    const { rows } = await database.admin<{ role: string }>(
      sql`select tableowner::text as role from pg_tables where tablename = ${table.name}`,
    )
    await database.admin(
      sql`alter role ${ident(rows[0]?.role ?? '')} in database ${ident(database.name)} set search_path to public, helpers`
        .text,
    )
    await purgeRows(database, table, purgeRequest('odd(id)'), SMALL)
    expect(await contentOf(database, table, 'id % 2 = 0')).toMatchObject({ rows: 0 })
  })

  test('with triggers that fire, one of which keeps some rows', async ({ database }) => {
    const table = await made(database, '(id int primary key)', 'select generate_series(1, 400)', [
      `create table gone (id int)`,
      `create function note() returns trigger language plpgsql as $$ begin insert into gone values (old.id); return old; end $$`,
      `create function keep() returns trigger language plpgsql as $$ begin if old.id % 10 = 0 then return null; end if; return old; end $$`,
      'create trigger a before delete on visits for each row execute function keep()',
      'create trigger b before delete on visits for each row execute function note()',
    ])
    await database.admin(`alter role current_user in database ${ident(database.name).text} set search_path to public`)
    const { figures, remaining } = await purgeRows(database, table, purgeRequest('id <= 100'), {
      ...SMALL,
      lockLimits: { lockTimeoutMs: 50, workTimeoutMs: 1000, deadlineMs: 300 },
    })
    expect(figures).toMatchObject({ rows: 90, locked: 0, refused: [{ why: 'a trigger keeps them', rows: 10 }] })
    expect(remaining).toMatchObject({ matching: 10, held: 0 })
    const { rows } = await database.admin('select count(*)::int as n from gone')
    expect(rows).toEqual([{ n: 90 }])
  })
})

describe('along an index', () => {
  test.for([
    ['a time', 'timestamptz', `now() - n * interval '1 minute'`, `k < now() - interval '2980 minutes'`],
    ['a date, many rows each', 'date', `date '2026-01-01' + n / 40`, `k < date '2026-01-04'`],
    ['a uuid', 'uuid', `md5(n::text)::uuid`, `k < '08000000-0000-0000-0000-000000000000'`],
    ['a text with awkward letters', 'text', `chr(34 + n % 60) || E'\\\\"''' || n`, `k < '%'`],
    ['a fixed length', 'character(5)', `lpad(n::text, 5)`, `k < ' 0100'`],
    ['a number with fractions', 'numeric', `n / 7.0`, `k < 12.5`],
    ['bytes', 'bytea', `decode(lpad(to_hex(n), 6, '0'), 'hex')`, `k < '\\x000050'`],
    ['an interval', 'interval', `n * interval '1 minute'`, `k < interval '1 hour'`],
  ] as const)('%s', async ([, type, value, where], { database }) => {
    const table = await made(
      database,
      `(id int, k ${type} not null, note text)`,
      `select n, ${value}, repeat('x', 500) from generate_series(1, 3000) n order by md5(n::text)`,
      ['create index by_k on visits (k)'],
    )
    expect(await walksOf(database, table, purgeRequest(where, { orderBy: 'k' }))).toEqual(['by_k'])
    await expectPurged(database, table, purgeRequest(where, { orderBy: 'k' }), { turns: batchesOf(7) })
  })

  test('is used if few rows match, and not if many do', async ({ database }) => {
    const table = await made(
      database,
      '(id bigint primary key, at timestamptz, note text)',
      `select n, now() - n * interval '1 minute', repeat('x', 300) from generate_series(1, 20000) n`,
      // Once vacuumed, it would be read by its key alone, which is narrower.
      ['create index by_at on visits (at)', 'alter table visits set (autovacuum_enabled = off)'],
    )
    expect(await walksOf(database, table, purgeRequest(`at < now() - interval '19900 minutes'`))).toEqual(['by_at'])
    expect(await walksOf(database, table, purgeRequest(`id % 2 = 0`))).toEqual(['blocks'])
    await expectPurged(database, table, purgeRequest(`at < now() - interval '19900 minutes'`), { turns: batchesOf(7) })
  })

  test('on several columns, in both directions, and if the key is not unique', async ({ database }) => {
    const table = await made(
      database,
      '(tenant text not null, at timestamptz not null, n int)',
      `select 't' || n % 3, date '2026-01-01' + n / 10 * interval '1 hour', n from generate_series(1, 2000) n`,
      ['create index down on visits (tenant desc, at desc)'],
    )
    const request = purgeRequest(`tenant <> 't1' and n % 2 = 0`, { orderBy: 'tenant' })
    expect(await walksOf(database, table, request)).toEqual(['down'])
    await expectPurged(database, table, request, { turns: batchesOf(9) })
  })

  test('is skipped only if rows with a NULL could match', async ({ database }) => {
    const table = await made(
      database,
      '(id int primary key, deleted_at timestamptz)',
      `select n, case when n % 3 = 0 then now() - n * interval '1 day' end from generate_series(1, 2000) n`,
      ['create index by_deleted on visits (deleted_at)'],
    )
    const marked = purgeRequest(`deleted_at < now() - interval '1000 days'`, { orderBy: 'deleted_at' })
    await expectPurged(database, table, marked, { turns: batchesOf(9) })
    const either = purgeRequest('deleted_at is null and id < 100', { orderBy: 'deleted_at' })
    const { objections } = await planPurgeOf(database.url, written(table), either, quietly())
    expect(objections).toMatchObject([{ what: expect.stringContaining('may have no deleted_at') as string }])
  })
})

describe('of a partitioned table', () => {
  async function partitioned(database: Database): Promise<TableName> {
    return made(
      database,
      '(id int not null, at date not null, note text) partition by range (at)',
      `select n, date '2026-01-01' + n % 90, repeat('x', 100) from generate_series(1, 3000) n`,
      [
        `create table january partition of visits for values from ('2026-01-01') to ('2026-02-01')`,
        `create table february partition of visits for values from ('2026-02-01') to ('2026-03-01') partition by hash (id)`,
        `create table february_0 partition of february for values with (modulus 2, remainder 0)`,
        `create table february_1 partition of february for values with (modulus 2, remainder 1)`,
        `create table march (note text, gone int, at date not null, id int not null)`,
        `alter table march drop column gone`,
        `alter table visits attach partition march for values from ('2026-03-01') to ('2026-04-01')`,
        'create index on visits (at, id)',
      ],
    )
  }

  test('rows are deleted from every partition separately', async ({ database }) => {
    const table = await partitioned(database)
    const { figures } = await expectPurged(database, table, purgeRequest('id % 3 = 1'), SMALL)
    expect(figures?.tables.map((one) => one.table)).toEqual([
      'public.february_0',
      'public.february_1',
      'public.january',
      'public.march',
    ])
  })

  test('partitions that cannot hold matching rows are not read', async ({ database }) => {
    const table = await partitioned(database)
    const request = purgeRequest(`at < '2026-02-02'`)
    const { purge } = await planPurgeOf(database.url, written(table), request, quietly())
    expect(purge?.leaves.map(({ name }) => name.name)).toEqual(['january', 'february_0', 'february_1'])
    await expectPurged(database, table, request, SMALL)
  })

  test('a partition dropped meanwhile causes no failure', async ({ database }) => {
    const table = await partitioned(database)
    let dropped: Promise<unknown> | undefined
    const { figures } = await purgeRows(database, table, purgeRequest('id % 3 = 1'), {
      ...SMALL,
      observer: (event) => {
        if (event.type === 'progress') dropped ??= database.admin('drop table march')
      },
    })
    await dropped
    expect(figures?.rows).toBeGreaterThan(500)
    expect(await contentOf(database, table, 'id % 3 <> 1')).toMatchObject({ rows: 0 })
  })
})

test('afterwards the table is vacuumed and analyzed, without a lock replayed on replicas', async ({ database }) => {
  const table = await made(database, '(id int primary key)', 'select generate_series(1, 2000)')
  await purgeRows(database, table, purgeRequest('id <= 1500', { vacuum: true }))
  const { rows } = await database.admin(
    sql`select reltuples::int as rows, relpages > 5 as "keeps its pages" from pg_class where relname = ${table.name}`,
  )
  expect(rows).toEqual([{ rows: 500, 'keeps its pages': true }])
})

test('the vacuum waits for the pace, like a batch', async ({ database }) => {
  const table = await made(database, '(id int primary key)', 'select generate_series(1, 200)')
  const vacuumed: number[] = []
  const turn = async (last: unknown) => {
    if (last === null) vacuumed.push(await vacuumsOf(database, table))
    return { rows: 1_000 }
  }
  await purgeRows(database, table, purgeRequest('id <= 150', { vacuum: true }), { turns: { turn } })
  expect(vacuumed).toEqual([0, 0])
  await until(async () => (await vacuumsOf(database, table)) === 1)
})

test('a vacuum gives way to who alters the table, and is done afterwards', async ({ database }) => {
  const table = await made(database, '(id int primary key)', 'select generate_series(1, 200)')
  const [holder, application] = [await database.session('holder'), await database.session('application')]
  // ANALYZE stands still in it for as long as the lock is held.
  const code = ident(database.table('stalls').schema, 'stalls')
  await application.query(sql`create function ${code}(id int) returns int immutable language plpgsql as
    $$ begin while not pg_try_advisory_xact_lock_shared(77) loop perform pg_sleep(0.02); end loop; return id; end $$`)
  await application.query(sql`create index on ${quoted(table)} (${code}(id))`)
  await holder.query('select pg_advisory_lock(77)')
  const notes: string[] = []
  const observer = (event: Event) => void (event.type === 'note' && notes.push(event.text))
  const purging = purgeRows(database, table, purgeRequest('id <= 150', { vacuum: true }), { observer })
  await until(async () => (await stalled(database)) === 1)
  await application.query('begin')
  await application.query(sql`alter table ${quoted(table)} add column more int`)
  await holder.query('select pg_advisory_unlock(77)')
  // Begun again meanwhile, it would be skipped.
  await sleep(300)
  await application.query('commit')
  await purging
  expect(notes).toEqual([
    expect.stringMatching(/^the vacuum was cancelled, because pid \d+ \(application\) was waiting/),
  ])
  await until(async () => (await vacuumsOf(database, table)) > 0)
})

async function stalled(database: Database): Promise<number> {
  const { rowCount } = await database.admin(
    "select from pg_stat_activity where datname = current_database() and query like 'vacuum%' and wait_event = 'PgSleep'",
  )
  return rowCount ?? 0
}

async function vacuumsOf(database: Database, { name }: TableName): Promise<number> {
  const { rows } = await database.admin<{ n: number }>(
    sql`select vacuum_count::int as n from pg_stat_all_tables where relname = ${name}`,
  )
  return rows[0]?.n ?? -1
}

test('rows that come to match during the run are left for the next one, and reported', async ({ database }) => {
  const table = await made(
    database,
    '(id int primary key, kind text)',
    `select n, 'old' from generate_series(1, 1000) n`,
  )
  const app = await database.session('app')
  await app.query(sql`insert into ${quoted(table)} values (5000, 'new')`)
  let written: Promise<unknown> | undefined
  const { figures, remaining } = await purgeRows(database, table, purgeRequest(`kind = 'old'`), {
    turns: {
      turn: async (last) => {
        written ??= app.query(
          sql`insert into ${quoted(table)} select n, case when n % 10 = 0 then 'old' else 'new' end from generate_series(10001, 13000) n`,
        )
        if (last === null) await written
        return { rows: 100 }
      },
    },
  })
  expect(figures?.rows).toBeGreaterThanOrEqual(1000)
  expect(remaining?.matching).toBe(1300 - (figures?.rows ?? 0))
  expect(remaining?.matching).toBeGreaterThan(200)
})

test('of a table that is counted part by part, all rows that are left are counted', async ({ database }) => {
  // A row fills its share of a block: 72 MB, and the first and the last row are in different parts.
  const table = await made(
    database,
    '(id int primary key, kind text, note text) with (fillfactor = 10)',
    `select n, case when n % 1000 = 1 then 'old' else 'new' end, repeat('x', 700) from generate_series(1, 9001) n`,
    ['alter table visits set (autovacuum_enabled = off)'],
  )
  const app = await database.session('app')
  await app.query('begin')
  await app.query(sql`select from ${quoted(table)} where kind = 'old' for update`)
  const { remaining } = await purgeRows(database, table, purgeRequest(`kind = 'old'`), {
    turns: batchesOf(10_000),
    lockLimits: { lockTimeoutMs: 50, workTimeoutMs: 1000, deadlineMs: 0 },
  })
  expect(remaining?.matching).toBe(10)
  await app.query('rollback')
})

test('a process whose lease was taken over deletes nothing more', async ({ database }) => {
  const table = await made(database, '(id int primary key)', 'select generate_series(1, 1000)')
  let batches = 0
  const lost = await purgeRows(database, table, purgeRequest('id <= 900'), {
    turns: {
      turn: async () => {
        if (batches++ === 3) await database.admin('update ebb.lease set token = token + 1')
        return { rows: 50 }
      },
    },
  }).catch((error: unknown) => error)
  expect(String(lost)).toContain('another run has taken over')
  expect(await contentOf(database, table)).toMatchObject({ rows: 1000 - 150 })
})

test.for([
  [true, 'off'],
  [false, 'on'],
] as const)('alone at work: %s; commits wait for the disk: %s', async ([alone, setting], { database }) => {
  const table = await made(database, '(id int primary key)', 'select generate_series(1, 300)', [
    'create table settings (setting text)',
    `create function seen() returns trigger language plpgsql as $$ begin insert into settings values (current_setting('synchronous_commit')); return old; end $$`,
    'create trigger seen before delete on visits for each row execute function seen()',
  ])
  await purgeRows(database, table, purgeRequest('id <= 200'), {
    turns: { turn: () => Promise.resolve({ rows: 50, alone }) },
  })
  const { rows } = await database.admin<{ setting: string }>('select distinct setting from settings')
  expect(rows).toEqual([{ setting }])
})

test('a batch by blocks never uses an index over dead rows', async ({ database }) => {
  const table = await made(
    database,
    '(id int primary key, kind text, note text)',
    `select n, case when n <= 20 then 'old' else 'new' end, repeat('x', 100) from generate_series(1, 20000) n`,
    ['create index by_kind on visits (kind)'],
  )
  const leaf = {
    name: table,
    oid: '0',
    walk: { kind: 'blocks' },
    blocks: 400,
    rowsPerBlock: 100,
    estimatedRows: 20,
  } as const
  const action = { kind: 'delete' } as const
  const work = { table, oid: '0', where: `kind = 'old'`, settings: {}, leaves: [leaf], dependents: ALONE, action }
  const range = { after: raw(`'(0,0)'::tid`), upto: raw(`'(300,0)'::tid`) }
  const owner = await database.session('owner')
  for (const statement of [
    rangeStatement(work, leaf, range),
    batchStatement(work, leaf, range, raw('100'), 'quick'),
    batchStatement(work, leaf, range, raw('100'), 'careful'),
  ]) {
    const { rows } = await owner.query<{ 'QUERY PLAN': string }>(sql`explain ${statement}`.text)
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(plan).toContain('Tid Range Scan')
    expect(plan).not.toMatch(/Index|Seq Scan/)
  }
})
