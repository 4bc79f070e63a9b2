import { describe, expect } from 'vitest'
import { abandon, retire, rollback } from '../../src/engine/runs/runs.ts'
import { errorText, tellError } from '../../src/report/error-text.ts'
import { quoted } from '../../src/sql/names.ts'
import { sql } from '../../src/sql/sql.ts'
import { test } from '../support/database.ts'
import { rebuildRequest, Rebuilding, TINY } from '../support/rebuilding.ts'
import { quietly, written } from '../support/tool.ts'
import { planRebuildOf } from '../support/commands.ts'

// Keys, columns and neighbours out of the ordinary.

describe('a rebuild', () => {
  test.for(['copy', 'server'] as const)(
    'carries and compares values of any type (%s)',
    async (transport, { database }) => {
      const table = database.table('zoo')
      const app = await database.session('app')
      const place = quoted(table).text
      await app.query(`
      create type mood as enum ('sad', 'happy');
      create type pair as (a int, b json);
      create domain document as json check (value is not null);
      create domain small as int;
      create table ${place} (
        id small primary key, e mood, es mood[], c pair, cs pair[], d document, j json, js json[], jb jsonb, x xml, xs xml[],
        p point, ps point[], b box, pa path, po polygon, ci circle, l lseg, t tsvector, q tsquery, m money, bi bit(3),
        vb bit varying, r int4range, mr int4multirange, ts tstzrange, h inet, ip cidr, mac macaddr, i interval, n numeric,
        f float8, bytes bytea, ch "char", nm name, lsn pg_lsn, snap pg_snapshot, re regclass, va int2vector, jp jsonpath, nothing text
      )`)
      await app.query(`
      insert into ${place} select n, 'sad', '{sad,happy}', row(n, '{"a": 1}')::pair, array[row(n, '[]')::pair], '{"d": ${'1'}}', '{"j":  2}', array['1'::json], '{"b": 3}',
        '<a/>', array['<b/>'::xml], '(1,2)', array['(1,2)'::point], '((1,1),(0,0))', '[(0,0),(1,1)]', '((0,0),(1,1),(1,0))', '<(0,0),1>', '[(0,0),(1,1)]',
        'a b', 'a & b', 3, b'101', b'11', '[1,5)', '{[1,5),[7,8)}', '[2020-01-01,)', '::1', '10.0.0.0/8', '08:00:2b:01:02:03', '1 day', 1.50, 'NaN',
        '\\x00ff', 'c', 'n', '0/16', '10:20:10,14', 'pg_class', '1 2', '$.a', null
      from generate_series(1, 300) n`)
      const before = await app.query(`select t::text from ${place} t order by id`)

      await new Rebuilding(database, table, { transport }).end()

      expect((await app.query(`select t::text from ${place} t order by id`)).rows).toEqual(before.rows)
    },
  )

  test('never fails an application whose key has operators outside of the search path', async ({ database }) => {
    const table = database.table('tree')
    const app = await database.session('app')
    await database.admin(`create schema ext; grant usage on schema ext to public; create extension ltree schema ext`)
    await app.query(sql`create table ${quoted(table)} (k ext.ltree primary key, n int)`)
    await app.query(sql`insert into ${quoted(table)} select ('a.n' || n)::ext.ltree, n from generate_series(1, 50) n`)
    await app.query('set search_path = public')
    const reader = await database.session('reader')
    await reader.query('begin isolation level repeatable read; select from pg_class limit 1')

    const rebuilding = new Rebuilding(database, table)
    await rebuilding.began('copy')
    await app.query(sql`update ${quoted(table)} set n = 7 where n = 1`)
    await app.query(sql`update ${quoted(table)} set k = 'b.c' where n = 2`)
    await reader.query('commit')
    await rebuilding.end()

    const { rows } = await app.query(sql`select k::text, n from ${quoted(table)} where n in (2, 7) order by k::text`)
    expect(rows).toEqual([
      { k: 'a.n1', n: 7 },
      { k: 'a.n7', n: 7 },
      { k: 'b.c', n: 2 },
    ])
  })

  test('allows the application to truncate, and stops', async ({ database }) => {
    const table = database.table('narrow')
    const app = await database.session('app')
    await app.query('create domain sure as int not null')
    await app.query(sql`create table ${quoted(table)} (id sure primary key)`)
    await app.query(sql`insert into ${quoted(table)} select n from generate_series(1, 50) n`)
    const reader = await database.session('reader')
    await reader.query('begin isolation level repeatable read')
    await reader.query('select from pg_class limit 1')

    const rebuilding = new Rebuilding(database, table)
    await rebuilding.waits(/for transactions that began before/)
    await app.query(sql`truncate ${quoted(table)}`)
    await reader.query('commit')

    await expect(rebuilding.end()).rejects.toThrow(/were not all captured/)
    await abandon(database.url, { table }, quietly())
    expect((await app.query(sql`select from ${quoted(table)}`)).rowCount).toBe(0)
  })

  test('is refused while an earlier one can still be rolled back', async ({ database }) => {
    const table = database.table('twice')
    const app = await database.session('app')
    await app.query(sql`create table ${quoted(table)} (id int primary key)`)
    const { runId } = await new Rebuilding(database, table).end()
    const codes = async () =>
      (await planRebuildOf(database.url, written(table), rebuildRequest(), quietly())).objections.map(
        ({ code }) => code,
      )

    expect(await codes()).toEqual(['captured'])
    await retire(database.url, { runId }, quietly())
    expect(await codes()).toEqual([])
  })

  test('is rolled back where the identity is GENERATED ALWAYS, after many values', async ({ database }) => {
    const table = database.table('always')
    const app = await database.session('app')
    await app.query(sql`create table ${quoted(table)} (id bigint generated always as identity primary key, n int)`)
    await app.query(sql`insert into ${quoted(table)} (n) select n from generate_series(1, 50) n`)
    const { runId } = await new Rebuilding(database, table, { keep: 'id > 40' }).end()
    await app.query(sql`insert into ${quoted(table)} (n) values (51)`)
    await rollback(database.url, { runId }, quietly())
    await app.query(sql`insert into ${quoted(table)} (n) values (52)`)
    const { rows } = await app.query(
      sql`select count(*)::int as n, max(id)::int as max from ${quoted(table)} where id = n`,
    )
    expect(rows).toEqual([{ n: 52, max: 52 }])
  })
})

describe('the rollback', () => {
  test.for([0, 500])(
    'reports a conflicting row that was left out (log of up to %s left to the swap)',
    async (shortLog, { database }) => {
      const table = database.table('accounts')
      const app = await database.session('app')
      await app.query(sql`create table ${quoted(table)} (id int primary key, mail text unique)`)
      await app.query(sql`insert into ${quoted(table)} values (1, 'one'), (2, 'two')`)
      const plan = await planRebuildOf(database.url, written(table), rebuildRequest({ keep: 'id > 1' }), quietly())
      const retired = plan.rebuild?.retired ?? table
      const { runId } = await new Rebuilding(database, table, { keep: 'id > 1' }).end()
      await app.query(sql`insert into ${quoted(table)} values (3, 'one')`)
      // More than would be applied under the lock, and fewer than are left to the swap.
      await app.query(sql`insert into ${quoted(table)} select n, 'mail ' || n from generate_series(101, 400) n`)
      const options = quietly({ copySizes: { ...TINY, shortLog } })

      const error: unknown = await rollback(database.url, { runId }, options).catch((reason: unknown) => reason)
      expect(errorText(tellError(error))).toMatch(/conflicts with one that only .* has: duplicate key .*mail/)
      expect(errorText(tellError(error))).not.toContain('(one)')
      expect(errorText(tellError(error, true))).toContain('Key (mail)=(one) already exists.')
      const { rows: kept } = await database.admin('select r::text as run from ebb.run r')
      expect(JSON.stringify(kept)).not.toContain('(one)')
      await app.query(sql`insert into ${quoted(table)} values (4, 'four')`)
      await app.query(sql`delete from ${quoted(retired)} where mail = 'one'`)
      await rollback(database.url, { runId }, options)
      const { rows } = await app.query<{ id: number }>(sql`select id from ${quoted(table)} where id <= 100 order by id`)
      expect(rows.map(({ id }) => id)).toEqual([2, 3, 4])
    },
  )
})

describe('an abandoned run', () => {
  test('leaves alone a user’s table of the name chosen for the copy', async ({ database }) => {
    const table = database.table('mine')
    const app = await database.session('app')
    await app.query(sql`create table ${quoted(table)} (id int primary key)`)
    const plan = await planRebuildOf(database.url, written(table), rebuildRequest(), quietly())
    const name = plan.rebuild?.shadow
    if (name === undefined) throw new Error('no plan')

    const blocker = await database.session('blocker')
    await blocker.query('begin')
    await blocker.query(sql`create table ${quoted(name)} (precious text)`)
    const rebuilding = new Rebuilding(database, table)
    await rebuilding.began('shadow')
    await blocker.query('commit')
    await expect(rebuilding.end()).rejects.toThrow(/already exists|duplicate key/)

    await abandon(database.url, { table }, quietly())
    expect((await app.query(sql`select from ${quoted(name)}`)).rowCount).toBe(0)
  })
})
