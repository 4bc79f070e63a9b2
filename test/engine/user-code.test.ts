import { describe, expect } from 'vitest'
import { rollback } from '../../src/engine/runs/runs.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, candidatesOf, contentOf, expectPurged, purgeRequest, purgeRows } from '../support/purging.ts'
import { Rebuilding, rebuildRequest } from '../support/rebuilding.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { partition, rebuild, writeCandidates } from '../support/commands.ts'

// Types and functions of the user's are found as their owner finds them, and nothing else on the search path is.

async function made(database: Database, columns: string, rows: string, more: readonly string[] = []) {
  const table = database.table('t')
  const owner = await database.session('setup')
  const place = quoted(table)
  for (const text of [
    `create table ${place.text} ${columns}`,
    ...more.map((one) => one.replaceAll('<t>', place.text)),
    `insert into ${place.text} ${rows}`,
    `analyze ${place.text}`,
  ])
    await owner.query(text)
  return table
}

/** Contrib's citext, in a schema that is on nobody's search path. */
async function citext(database: Database): Promise<void> {
  await database.admin('create schema ext; grant usage on schema ext to public; create extension citext schema ext')
}

/** Upper and lower case by turns, which text orders otherwise. */
const NAMES = `case when n % 2 = 0 then 'NAME ' else 'name ' end || lpad(n::text, 6, '0')`

describe('a type whose operators are not on the search path', () => {
  test('is walked in its own order', async ({ database }) => {
    await citext(database)
    const table = await made(
      database,
      '(id int, k ext.citext not null, old bool)',
      `select n, (${NAMES})::ext.citext, n % 3 > 0 from generate_series(1, 2000) n`,
      ['create unique index on <t> (k)'],
    )
    await expectPurged(database, table, purgeRequest('old', { orderBy: 'k' }), { turns: batchesOf(100) })
  })

  test('and beside a type of PostgreSQL’s own, in both directions, with equal keys', async ({ database }) => {
    await citext(database)
    const table = await made(
      database,
      '(a int not null, k ext.citext not null, b int not null, old bool)',
      `select n / 300, (${NAMES.replaceAll('n % 2', 'n % 7').replace('lpad(n::text', 'lpad((n / 10)::text')})::ext.citext, n % 5, n % 3 > 0 from generate_series(1, 2000) n`,
      ['create index on <t> (a desc, k desc, b desc)'],
    )
    await expectPurged(database, table, purgeRequest('old', { orderBy: 'a' }), { turns: batchesOf(7) })
  })

  test('is the key of candidates', async ({ database }) => {
    await citext(database)
    const table = await made(
      database,
      '(k ext.citext, n int, v text, primary key (k, n))',
      `select (${NAMES})::ext.citext, n, 'v' from generate_series(1, 1000) n`,
    )
    const { runId } = await writeCandidates(database.url, written(table), { where: 'n > 500' }, quietly())
    await database.admin(sql`update ${quoted(table)} set v = 'changed' where n = 600`.text)
    const candidates = candidatesOf(runId)
    await purgeRows(database, table, purgeRequest(candidates), { turns: batchesOf(30) })
    expect(await contentOf(database, table)).toMatchObject({ rows: 501 })
  })

  test('determines stale groups', async ({ database }) => {
    await citext(database)
    const table = await made(
      database,
      '(id int primary key, g ext.citext, seen timestamptz)',
      `select n, (case when n % 2 = 0 then 'G' else 'g' end || n % 10 / 2)::ext.citext, case when n % 10 = 3 then now() else now() - interval '1 year' end from generate_series(1, 200) n`,
      ['create index on <t> (g, seen)'],
    )
    const stale = { kind: 'stale', group: 'g', activity: 'seen', idle: { count: 90, unit: 'day' } } as const
    await purgeRows(database, table, purgeRequest(stale))
    // The active row spells its group otherwise than half of the others.
    const { rows } = await database.admin<{ g: string; n: number }>(
      sql`select lower(g::text) as g, count(*)::int as n from ${quoted(table)} group by 1`.text,
    )
    expect(rows).toEqual([{ g: 'g1', n: 40 }])
  })

  test('identifies the rows of a copy, also in a rollback', async ({ database }) => {
    await citext(database)
    const table = await made(
      database,
      '(k ext.citext primary key, n int)',
      `select (${NAMES})::ext.citext, n from generate_series(1, 500) n`,
    )
    const app = await database.session('app')
    const rebuilding = new Rebuilding(database, table)
    await rebuilding.began('copy')
    // Another spelling of the same key.
    await app.query(sql`update ${quoted(table)} set k = upper(k::text)::ext.citext, n = -n where n <= 50`.text)
    await app.query(sql`delete from ${quoted(table)} where n > 490`.text)
    const { runId } = await rebuilding.end()
    expect(await contentOf(database, table)).toMatchObject({ rows: 490 })
    const { rows } = await database.admin<{ by: string }>(
      `select plan #>> '{rebuild,forward,capture,key,columns,0,operators,2}' as by from ebb.run order by id desc limit 1`,
    )
    expect(rows).toEqual([{ by: 'operator(ext.=)' }])
    await app.query(sql`update ${quoted(table)} set k = lower(k::text)::ext.citext where n < 0`.text)
    const before = await contentOf(database, table)
    await rollback(database.url, { runId }, quietly())
    expect(await contentOf(database, table)).toEqual(before)
  })
})

describe('functions that need the search path of their owner', () => {
  const FUNCTIONS = [
    `create function s(t text) returns text language sql immutable as 'select t'`,
    `create function n(t text) returns text language plpgsql immutable as 'begin return s(t); end'`,
  ]

  async function withFunctions(database: Database, columns: string, more: readonly string[]): Promise<TableName> {
    const owner = await database.session('functions')
    for (const text of FUNCTIONS) await owner.query(text)
    return made(database, columns, `(id, x, at) select n, 'x' || n, now() from generate_series(1, 300) n`, more)
  }

  const PLAIN = '(id int primary key, x text, at timestamptz not null)'

  /** From 17 on the index itself cannot be made: PostgreSQL builds indexes under a path of its own. */
  test('index a table', async ({ database, skip }) => {
    if (database.version >= 170000) skip('PostgreSQL builds no such index any more')
    const table = await withFunctions(database, PLAIN, [
      'create index on <t> (n(x))',
      `create index on <t> (id) where n(x) <> ''`,
    ])
    await purgeRows(database, table, purgeRequest('id <= 100', { vacuum: true }))
    for (const transport of ['copy', 'server'] as const)
      await rebuild(database.url, written(table), rebuildRequest({ transport, keep: 'id > 150' }), quietly()).then(
        async ({ runId }) => {
          await rollback(database.url, { runId }, quietly())
        },
      )
    await partition(database.url, written(table), { ...monthly(), by: 'at', accept: ['primary-key'] }, quietly())
    expect(await contentOf(database, table)).toMatchObject({ rows: 200 })
  })

  test.for(['copy', 'server'] as const)('check and generate columns, by %s', async (transport, { database }) => {
    const table = await withFunctions(
      database,
      `(id int primary key, x text check (n(x) <> ''), at timestamptz, y text generated always as (n(x)) stored)`,
      [],
    )
    const rebuilding = new Rebuilding(database, table, { transport })
    await rebuilding.began('copy')
    const app = await database.session('app')
    await app.query(sql`update ${quoted(table)} set x = 'other' where id <= 20`.text)
    const { runId } = await rebuilding.end()
    await app.query(sql`update ${quoted(table)} set x = 'third' where id <= 10`.text)
    await rollback(database.url, { runId }, quietly())
    const { rows } = await database.admin<{ n: number }>(
      sql`select count(*)::int as n from ${quoted(table)} where y = x and x in ('other', 'third')`.text,
    )
    expect(rows).toEqual([{ n: 20 }])
  })
})

describe('other objects on the search path', () => {
  // Before pg_catalog, with the signatures of PostgreSQL's own, and better fitting ones beside them.
  const TRAP = `
    create schema trap; grant usage on schema trap to public;
    do $$
      declare o record;
      begin
        for o in
          select oprname, oprleft::regtype l, oprright::regtype r, oprresult::regtype result from pg_operator
          where oprnamespace = 'pg_catalog'::regnamespace and oprleft <> 0 and oprname in ('=', '<>', '<', '<=', '>', '>=', '->>', '-', '+', '*<>')
            and array[oprleft, oprright]::regtype[] <@ array['int4', 'int8', 'text', 'name', 'oid', 'tid', 'bool', 'jsonb', 'json', 'xid', 'char', 'timestamptz', 'interval', 'record', 'int2', 'uuid', 'float8', 'numeric']::regtype[]
          union select op, l, r, 'bool' from unnest(array['int4', 'int8', 'oid', 'text', 'name', 'varchar', 'tid']::regtype[]) l, unnest(array['int4', 'int8', 'oid', 'text', 'name', 'varchar', 'tid']::regtype[]) r, unnest(array['=', '<>', '<', '>', '<=', '>=']) op
        loop
          execute format('create or replace function trap.%I(a %s, b %s) returns %s language plpgsql as ''begin return null; end''', 'f' || o.oprname, o.l, o.r, o.result);
          execute format('create operator trap.%s (function = trap.%I, leftarg = %s, rightarg = %s)', o.oprname, 'f' || o.oprname, o.l, o.r);
        end loop;
      end $$;
    create function trap.json_build_array(a text, b text) returns json language plpgsql as 'begin return null; end';
    create function trap.hashtextextended(a text, b int) returns bigint language plpgsql as 'begin return null; end';
    create function trap.hashtextextended(a text, b bigint) returns bigint language plpgsql as 'begin return null; end';
    create function trap.pg_column_size(a anyelement) returns int language plpgsql as 'begin return null; end';
    create function trap.now() returns timestamptz language plpgsql as 'begin return pg_catalog.clock_timestamp(); end';
    create function trap.clock_timestamp() returns timestamptz language plpgsql as 'begin return null; end';
    create function trap.jsonb_build_array(a bigint) returns jsonb language plpgsql as 'begin return null; end';
    create function trap.count_one(a bigint) returns bigint language plpgsql as 'begin return null; end';
    create aggregate trap.count(*) (sfunc = trap.count_one, stype = bigint, initcond = '0')`

  async function trapped(database: Database): Promise<void> {
    await database.admin(TRAP)
    const app = await database.session('app')
    const { rows } = await app.query<{ me: string }>('select current_user as me')
    const place = `role ${ident(rows[0]?.me ?? '').text} in database ${ident(database.name).text}`
    await database.admin(`alter ${place} set search_path to trap, pg_catalog, public`)
    await database.admin(`alter database ${ident(database.name).text} set track_functions to 'all'`)
  }

  /** The functions in the trap that have been called; what a session has called is known when it has ended, or rests. */
  async function called(database: Database): Promise<string[]> {
    const read = async () => {
      const { rows } = await database.admin<{ name: string }>(
        `select funcname || '(' || pg_get_function_identity_arguments(funcid) || ')' as name
         from pg_stat_user_functions where schemaname = 'trap' and calls > 0 order by 1`,
      )
      return rows.map(({ name }) => name)
    }
    await until(async () => (await sessionsOfEbb(database)) === 0)
    await database.admin('select trap.now()')
    await until(async () => (await read()).includes('now()'))
    return (await read()).filter((name) => name !== 'now()')
  }

  async function sessionsOfEbb(database: Database): Promise<number> {
    const { rows } = await database.admin<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name like 'ebb %'`,
    )
    return rows[0]?.n ?? 0
  }

  async function rowsOf(database: Database): Promise<TableName> {
    const table = await made(
      database,
      '(id bigint primary key, n int not null, old bool not null, at timestamptz not null)',
      `select n, n % 50, n % 3 > 0, now() - interval '1 day' * n from generate_series(1, 600) n`,
      ['create index on <t> (n)', 'create index on <t> (at)'],
    )
    return table
  }

  test('are not used by Ebb’s own statements: purge, cascade, candidates', async ({ database }) => {
    const table = await rowsOf(database)
    const child = database.table('c')
    const owner = await database.session('owner')
    await owner.query(
      sql`create table ${quoted(child)} (id int primary key, t bigint references ${quoted(table)})`.text,
    )
    await owner.query(sql`create index on ${quoted(child)} (t)`.text)
    await owner.query(sql`insert into ${quoted(child)} select n, n from generate_series(1, 600) n`.text)
    await trapped(database)
    const left = async () => (await contentOf(database, table)).rows
    await purgeRows(database, table, purgeRequest('old', { orderBy: 'n', cascade: true }), { turns: batchesOf(50) })
    expect(await left()).toBe(200)
    const { runId } = await writeCandidates(database.url, written(table), { where: 'not old' }, quietly())
    const candidates = candidatesOf(runId)
    await purgeRows(database, table, purgeRequest(candidates, { cascade: true, allRows: true }), {
      turns: batchesOf(50),
    })
    expect(await left()).toBe(0)
    expect(await called(database)).toEqual([])
  })

  test('nor by a copy', async ({ database }) => {
    const table = await rowsOf(database)
    await trapped(database)
    const rebuilding = new Rebuilding(database, table, { keep: 'old' })
    await rebuilding.began('copy')
    await database.admin(sql`update ${quoted(table)} set n = n operator(pg_catalog.+) 1 where old`.text)
    const { runId } = await rebuilding.end()
    expect((await contentOf(database, table)).rows).toBe(400)
    await rollback(database.url, { runId }, quietly())
    expect(await called(database)).toEqual([])
  })

  test('but by the user’s condition, as in psql', async ({ database }) => {
    const table = await rowsOf(database)
    await trapped(database)
    await purgeRows(database, table, purgeRequest('n operator(pg_catalog.<) 10 and (n = 5) is null'))
    expect(await called(database)).toContain('f=(a integer, b integer)')
  })
})
