import { describe, expect } from 'vitest'
import { rollback } from '../../src/engine/runs/runs.ts'
import type { CopyRequest } from '../../src/plan/partition/partition-copy.ts'
import { EbbError } from '../../src/errors.ts'
import type { Event } from '../../src/events.ts'
import { errorText, tellError } from '../../src/report/error-text.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { Rebuilding, rebuildRequest, TINY } from '../support/rebuilding.ts'
import { beforeStep, stoppedRebuild } from '../support/stopped-rebuild.ts'
import { monthly, quietly, written } from '../support/tool.ts'
import { partitionByCopy, rebuild } from '../support/commands.ts'

// What the comparison before a swap finds, and what it does not take for a difference.

/** What was found, and the keys of the rows. */
async function differencesOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.catch((reason: unknown) => reason)
  if (!(error instanceof EbbError)) throw error instanceof Error ? error : new Error('nothing was found')
  return [error.message, ...error.values].join('; ')
}

const WIDE = { ...TINY, chunkBlocks: 64 }

describe('a difference planted in the shadow is found', () => {
  test('of any kind', async ({ database }) => {
    const table = await manyTypes(database)
    const { shadow, goOn } = await stoppedRebuild(database, table, beforeStep('verify'), {}, { copySizes: WIDE })
    const owner = await database.session('owner')
    const place = quoted(shadow).text
    const columns = await writable(database, shadow)
    const found: string[] = []
    const expected: string[] = []
    for (const { what, plant, says } of DIFFERENCES) {
      await owner.query(plant.replaceAll('SHADOW', place))
      const told = await differencesOf(goOn())
      found.push(`${what}: ${/rows in \S+ (.*)$/.exec(told)?.[1] ?? told}`)
      expected.push(`${what}: ${says}`)
      await owner.query(`delete from ${place}`)
      await owner.query(`insert into ${place} (${columns}) select ${columns} from ${quoted(table).text}`)
    }
    expect(found).toEqual(expected)
    await goOn()
  })

  test('a key that exists twice', async ({ database }) => {
    const table = await numbered(database, 100)
    const { shadow, goOn } = await stoppedRebuild(database, table, beforeStep('verify'), {}, { copySizes: TINY })
    const owner = await database.session('owner')
    await owner.query(sql`alter table ${quoted(shadow)} drop constraint ${ident(await keyOf(database, shadow))}`.text)
    await owner.query(sql`insert into ${quoted(shadow)} select * from ${quoted(shadow)} where id in (1, 50, 100)`)
    expect(await differencesOf(goOn())).toMatch(/3 keys are there more than once; repeated: keys 1, 50, 100$/)
  })

  test('in the first range and the last, with rows missing on either side', async ({ database }) => {
    const table = await numbered(database, 300)
    const request = { keep: 'id <> 150' }
    const { shadow, goOn } = await stoppedRebuild(database, table, beforeStep('verify'), request, { copySizes: TINY })
    const owner = await database.session('owner')
    await owner.query(sql`delete from ${quoted(shadow)} where id in (1, 149, 300)`)
    await owner.query(sql`insert into ${quoted(shadow)} values (0, 'x'), (150, 'x'), (301, 'x')`)
    await owner.query(sql`update ${quoted(shadow)} set v = 'secret' where id between 200 and 220`)

    const error: unknown = await goOn().catch((reason: unknown) => reason)
    expect(errorText(tellError(error, true))).toMatch(
      /of 299 rows in \S+ 3 rows are missing, 3 rows should not be there, 21 rows are there with other contents\n +missing: keys 1, 149, 300\n +unexpected: keys 0, 150, 301\n +changed: keys 200, .*, …\n/,
    )
    expect(errorText(tellError(error, true))).not.toContain('secret')
    expect(errorText(tellError(error))).toMatch(/other contents\n +detail: values of rows, shown with --show-values\n/)
    expect(errorText(tellError(error))).not.toMatch(/149|150|210/)
  })

  test('changes made by COPY itself, for a type whose binary format loses information', async ({ database }) => {
    await database.admin(`
      create type half;
      create function half_in(cstring) returns half language internal immutable strict as 'int8in';
      create function half_out(half) returns cstring language internal immutable strict as 'int8out';
      create function half_send(half) returns bytea language internal immutable strict as 'int4send';
      create function half_recv(internal) returns half language internal immutable strict as 'int4recv';
      create type half (input = half_in, output = half_out, send = half_send, receive = half_recv, like = int8)`)
    const table = await numbered(database, 20)
    const owner = await database.session('owner')
    await owner.query(sql`alter table ${quoted(table)} add column h half default '7'`.text)
    await owner.query(sql`update ${quoted(table)} set h = '4294967301' where id = 5`)
    const rebuilding = new Rebuilding(database, table, { transport: 'copy' })
    expect(await differencesOf(rebuilding.end())).toMatch(/1 row is there with other contents; changed: key 5$/)
  })

  test('and after a repair no more', async ({ database }) => {
    const table = await numbered(database, 20)
    const { shadow, goOn } = await stoppedRebuild(database, table, beforeStep('verify'))
    const owner = await database.session('owner')
    await owner.query(sql`update ${quoted(shadow)} set v = 'other' where id = 7`)
    expect(await differencesOf(goOn())).toMatch(/1 row is there with other contents; changed: key 7$/)
    await owner.query(sql`update ${quoted(shadow)} set v = 'row 7' where id = 7`)
    await goOn()
  })
})

describe('no difference', () => {
  test.for(['server', 'copy'] as const)(
    'is found in values of many types copied by %s',
    async (transport, { database }) => {
      const table = await manyTypes(database, transport === 'copy' ? 'without binary form' : null)
      const { shadow, goOn } = await stoppedRebuild(
        database,
        table,
        beforeStep('verify'),
        { transport },
        { copySizes: WIDE },
      )
      const owner = await database.session('owner')
      const { rows } = await owner.query<{ n: number }>(
        `select count(*)::int as n from ${quoted(table).text} s join ${quoted(shadow).text} t using (id) where row(s.pair)::record *<> row(t.pair)::record`,
      )
      // Binary COPY writes the attribute that has come; the rows are the same.
      expect(rows[0]?.n).toBe(transport === 'copy' ? 2 : 0)
      const { runId } = await goOn()
      await rollback(database.url, { runId }, quietly())
    },
  )

  test('is a change that is in the log and not applied yet', async ({ database }) => {
    const table = await numbered(database, 200)
    const { goOn } = await stoppedRebuild(
      database,
      table,
      beforeStep('verify'),
      {},
      { copySizes: { ...TINY, shortLog: 500 } },
    )
    const app = await database.session('app')
    const place = quoted(table).text
    await app.query(`update ${place} set v = 'changed' where id in (1, 100, 200)`)
    await app.query(`delete from ${place} where id in (2, 101, 199)`)
    await app.query(`insert into ${place} values (0, 'new'), (1000, 'new')`)
    await app.query(`update ${place} set id = id + 5000 where id = 50`)
    const { events } = await goOn()
    expect(comparings(events).length).toBeGreaterThan(10)
    const { rows } = await app.query(
      `select count(*)::int as n, count(*) filter (where v = 'changed')::int as changed from ${place}`,
    )
    expect(rows).toEqual([{ n: 199, changed: 3 }])
  })

  test('is a row that was left out, in a rollback', async ({ database }) => {
    const table = await numbered(database, 200)
    const { runId } = await new Rebuilding(database, table, { keep: 'id > 100' }).end()
    const app = await database.session('app')
    await app.query(sql`insert into ${quoted(table)} values (7, 'anew')`)
    await app.query(sql`delete from ${quoted(table)} where id = 150`)
    await rollback(database.url, { runId }, quietly({ copySizes: TINY }))
    const { rows } = await app.query(
      sql`select count(*)::int as n, min(v) filter (where id = 7) as seventh from ${quoted(table)}`,
    )
    expect(rows).toEqual([{ n: 199, seventh: 'anew' }])
  })
})

describe('before a rollback', () => {
  test('rows only in the retired table are found, unless they were left out; and differing rows', async ({
    database,
  }) => {
    const table = await numbered(database, 200)
    const { runId } = await new Rebuilding(database, table, { keep: 'id > 100' }).end()
    const app = await database.session('app')
    await app.query(sql`delete from ${quoted(table)} where id = 150`)
    // As if these had escaped.
    await database.admin(`delete from ebb."${await logOf(database)}"`)
    const former = await retiredOf(database, table)
    await app.query(sql`update ${quoted(former)} set v = 'other' where id in (1, 120)`)
    expect(await differencesOf(rollback(database.url, { runId }, quietly({ copySizes: TINY })))).toMatch(
      /1 row should not be there, 1 row is there with other contents; unexpected: key 150; changed: key 120$/,
    )
  })
})

describe('ranges', () => {
  test.for([1, 3])('already compared are not compared again after a stop (%i jobs)', async (jobs, { database }) => {
    const table = await numbered(database, 300)
    let told = 0
    const third = (event: Event) => event.type === 'progress' && event.progress.what === 'comparing' && ++told === 3
    const { goOn } = await stoppedRebuild(database, table, third, { jobs }, { copySizes: TINY })
    const before = await ranges(database)
    expect(before.length).toBeGreaterThanOrEqual(3)
    expect(before.at(-1)?.upto).not.toBeNull()

    const { events } = await goOn()

    const after = await ranges(database)
    expect(after.slice(0, before.length)).toEqual(before)
    expect(after.map(({ number }) => number)).toEqual(after.map((_, i) => i))
    expect(after.at(-1)?.upto).toBeNull()
    expect(after.reduce((sum, { rows }) => sum + rows, 0)).toBe(300)
    expect(comparings(events)).toHaveLength(after.length - before.length)
  })

  test('are compared by no job any more when another run has taken over', async ({ database }) => {
    const table = await numbered(database, 600)
    const other = await database.session('other')
    let taking: Promise<unknown> | undefined
    const observer = (event: Event) => {
      if (event.type === 'progress' && event.progress.what === 'comparing')
        taking ??= other.query('update ebb.lease set token = token + 1')
    }
    const rebuilding = rebuild(
      database.url,
      written(table),
      rebuildRequest({ jobs: 3 }),
      quietly({ copySizes: TINY, observer }),
    )
    await expect(rebuilding).rejects.toThrow(/another run has taken over/)
    await taking
    const compared = await ranges(database)
    expect(compared.at(-1)?.upto).not.toBeNull()
    expect(compared.map(({ number }) => number)).toEqual(compared.map((_, i) => i))
    const { rows } = await other.query(
      `select state from pg_stat_activity where datname = current_database() and application_name like 'ebb rebuild%' and state <> 'idle'`,
    )
    expect(rows).toEqual([])
    expect(await ranges(database)).toEqual(compared)
  })

  test('are few if rows are not in key order, and differences are still found', async ({ database }) => {
    const table = await scattered(database)
    const { shadow, goOn } = await stoppedRebuild(database, table, beforeStep('verify'), {}, { copySizes: TINY })
    const owner = await database.session('owner')
    const place = quoted(shadow).text
    const { rows } = await owner.query<{ key: string }>(
      `select (array_agg(key::text order by key))[1] as key from ${place}`,
    )
    await owner.query(`update ${place} set v = 'other' where key = '${rows[0]?.key}'`)
    expect(await differencesOf(goOn())).toContain(`1 row is there with other contents; changed: key ${rows[0]?.key}`)
    await owner.query(`update ${place} set v = 'v' where v = 'other'`)
    await goOn()
    const compared = await ranges(database)
    expect(compared.reduce((sum, range) => sum + range.rows, 0)).toBe(SCATTERED_ROWS)
    expect(compared.length).toBeGreaterThan(1)
    expect(compared.length).toBeLessThanOrEqual(9)
  })

  test('are small if temporary files are limited', async ({ database }) => {
    const table = await scattered(database)
    await database.admin(`alter database "${database.name}" set temp_file_limit = '32kB'`)
    await new Rebuilding(database, table).end()
    expect((await ranges(database)).length).toBeGreaterThan(9)
  })

  test.for(KEYS())(
    'follow a key like this: ($key) of $columns',
    async ({ key, columns, values }, { database, skip }) => {
      if (/citext/.test(columns)) {
        const available = await database.admin(`select from pg_available_extensions where name = 'citext'`)
        if (available.rowCount === 0) skip('citext is not there')
        await database.admin(
          'create schema types; grant usage on schema types to public; create extension citext schema types',
        )
      }
      // Many small ranges, also where rows lie in another order than their keys.
      await database.admin(`alter database "${database.name}" set temp_file_limit = '8kB'`)
      const table = database.table('keyed')
      const app = await database.session('app')
      const place = quoted(table).text
      await app.query(`create table ${place} (${columns}, v text default repeat('-', 700))`)
      await app.query(`create unique index keyed_key on ${place} (${key})`)
      await app.query(`insert into ${place} select ${values} from generate_series(1, 200) n`)
      await app.query(`analyze ${place}`)
      const { shadow, goOn } = await stoppedRebuild(database, table, beforeStep('verify'), {}, { copySizes: TINY })
      const { rows } = await app.query<{ at: string }>(`select ctid::text as at from ${quoted(shadow).text}`)
      const [first, , third] = rows.map(({ at }) => at)
      await app.query(
        `update ${quoted(shadow).text} set v = 'other' where ctid in ('${first}', '${third}', '${rows.at(-1)?.at}')`,
      )
      await expect(goOn()).rejects.toThrow(/of 200 rows in \S+ 3 rows are there with other contents/)
      await app.query(`update ${quoted(shadow).text} set v = repeat('-', 700) where v = 'other'`)
      const { events } = await goOn()
      expect(comparings(events).length).toBeGreaterThan(10)
    },
  )

  test('show one key in two partitions, which no partition’s own index prevents', async ({ database }) => {
    const table = database.table('dated')
    const app = await database.session('app')
    const place = quoted(table).text
    await app.query(`create table ${place} (id int primary key, created_at timestamptz not null, v text)`)
    await app.query(
      `insert into ${place} select n, now() - n * interval '1 hour', 'row ' || n from generate_series(1, 2000) n`,
    )
    await app.query(`vacuum analyze ${place}`)
    const stop = new AbortController()
    const request: CopyRequest = {
      ...monthly({ accept: ['unique-by-key'] }),
      transport: 'server',
      jobs: 1,
      noArchive: true,
      retireAfter: null,
    }
    const at = beforeStep('verify')
    const stopping = quietly({ signal: stop.signal, observer: (event) => void (at(event) && stop.abort()) })
    await expect(partitionByCopy(database.url, written(table), request, stopping)).rejects.toThrow()
    const { rows } = await database.admin<{ name: string }>(
      `select plan #>> '{rebuild,shadow,name}' as name from ebb.run`,
    )
    const shadow = quoted({ schema: table.schema, name: rows[0]?.name ?? '' }).text
    await app.query(`insert into ${shadow} select id, created_at - interval '45 days', v from ${shadow} where id = 5`)
    expect(await differencesOf(partitionByCopy(database.url, written(table), request, quietly()))).toMatch(
      /1 key is there more than once; .*repeated: key 5$/,
    )
  })
})

const SCATTERED_ROWS = 3000

/** Whose keys are in no order. */
async function scattered(database: Database): Promise<TableName> {
  const table = database.table('scattered')
  const owner = await database.session('owner')
  await owner.query(`
    create table ${quoted(table).text} (key uuid primary key, v text);
    insert into ${quoted(table).text} select md5(n::text)::uuid, 'v' from generate_series(1, ${SCATTERED_ROWS}) n`)
  await owner.query(`analyze ${quoted(table).text}`)
  return table
}

interface Planted {
  readonly what: string
  readonly plant: string
  readonly says: string
}

const changed = (what: string, set: string, id: number): Planted => ({
  what,
  plant: `update SHADOW set ${set} where id = ${id}`,
  says: `1 row is there with other contents; changed: key ${id}`,
})

const DIFFERENCES: readonly Planted[] = [
  {
    what: 'two rows that have exchanged a value',
    plant: `update SHADOW t set n = o.n from SHADOW o where t.id in (1, 2) and o.id = 3 - t.id`,
    says: '2 rows are there with other contents; changed: keys 1, 2',
  },
  { what: 'a row that is missing', plant: 'delete from SHADOW where id = 3', says: '1 row is missing; missing: key 3' },
  {
    what: 'a row too many',
    plant: 'insert into SHADOW (id) values (77)',
    says: '1 row should not be there; unexpected: key 77',
  },
  {
    what: 'another key',
    plant: 'update SHADOW set id = 77 where id = 3',
    says: '1 row is missing, 1 row should not be there; missing: key 3; unexpected: key 77',
  },
  changed('null for 0.0', 'f = null', 1),
  changed('-0.0 for 0.0', `f = '-0'`, 1),
  changed('NaN for null', `f = 'NaN'`, 3),
  changed('null for the empty text', 't = null', 2),
  changed('jsonb that nests otherwise', `j = '{"a":{"b":1,"c":2}}'`, 1),
  changed('json with another space', `raw_json = '{"a":  1}'`, 1),
  changed('another number, 2³² apart', 'n = n + 4294967296', 1),
  changed('a time 71 minutes and 35 seconds later', `at = at + interval '4294967296 microseconds'`, 1),
  changed('another scale', 'amount = 1.00', 1),
  changed('another case', `ci = 'ABC'`, 1),
  changed('one space more', `t = t || ' '`, 1),
  changed('an array that begins elsewhere', `a = '[0:1]={1,2}'`, 1),
  changed('an array of another shape', `a = '{{1},{2}}'`, 1),
  changed('another point', `p = '(1,2)'`, 1),
  changed('another xml', `x = '<a/>'`, 1),
  changed('another function of the same name', `fn = 'lower(anyrange)'::regprocedure::regproc`, 1),
  changed('another interval of the same length', `i = '24 hours'`, 1),
  changed('an attribute inside a composite', `pair = row(1, 'y', null)`, 1),
  changed('an attribute inside an array of composites', `pairs[1] = row(2, 'x', null)::pair`, 1),
  changed('an element of a range', `r = '[1,6)'`, 1),
  changed('a bit', `b = '101'`, 1),
  changed('one byte of a long value', `long = overlay(long placing '!' from 50000)`, 1),
  changed('a long value that is stored compressed', `flat = overlay(flat placing '!' from 90000)`, 1),
  changed('a privilege', `acl = null`, 1),
  changed('a column that has come later', 'late = 8', 1),
]

/** Three rows of nearly all types that there are, with traces of a table's life: columns dropped and added, a type that has grown. */
async function manyTypes(database: Database, without: 'without binary form' | null = null): Promise<TableName> {
  const table = database.table('many')
  const place = quoted(table).text
  const owner = await database.session('owner')
  await owner.query(`
    create type pair as (n int, t text);
    create type mood as enum ('low', 'high');
    create domain some_pair as pair check ((value).n > 0);
    create domain word as varchar(10) check (value <> 'never');
    create table ${place} (id int primary key, gone text, n bigint, f float8, g float4, t text, v varchar(20), c char(9), ci text collate "C",
      word word, name name, j jsonb, raw_json json, at timestamptz, local timestamp, d date, tm time, tz timetz, i interval,
      amount numeric, money money, a int[], p point, box box, poly polygon, x xml, fn regproc, cls regclass, pair pair,
      dom some_pair, pairs pair[], r int4range, rs int4multirange, b bit(3), bv bit varying, u uuid, ip inet, net cidr, mac macaddr,
      ts tsvector, tq tsquery, path jsonpath, m mood, moods mood[], bytes bytea, long text, flat text, ok boolean, "Char" "char", lsn pg_lsn,
      twice bigint generated always as (n * 2) stored, acl aclitem[]);
    alter table ${place} alter long set storage external;
    insert into ${place} (id, n, f, t, at, j, raw_json, amount, ci, a, p, x, fn, i, pair, dom, pairs, r, b, long, flat, acl)
      values (1, 1, 0.0, 'one', '2026-01-01', '{"a":{"b":1},"c":2}', '{"a": 1}', 1.0, 'abc', '{1,2}', '(1,1)', '<a></a>', 'lower(text)'::regprocedure::regproc, '1 day',
        row(1, 'x'), row(1, 'x'), array[row(1, 'x'), row(2, null)]::pair[], '[1,5)', '100', (select string_agg(md5(n::text), '') from generate_series(1, 3000) n), repeat('flat ', 20000),
        array[makeaclitem(0, (select oid from pg_roles where rolname = current_user), 'SELECT', false)]);
    insert into ${place} (id, n, f, g, t, v, c, word, name, d, local, tm, tz, money, box, poly, cls, pair, rs, bv, u, ip, net, mac, ts, tq, path, m, moods, bytes, ok, "Char", lsn)
      values (2, 2, 'Infinity', 'NaN', '', 'v ', 'c ', 'word', 'name', 'infinity', '-infinity', '24:00', '12:00+05', 12.34, '(1,1),(0,0)', '((0,0),(1,1),(1,0))', 'pg_class',
        row(null, null), '{[1,2),[5,6)}', '1', '6b1f8a52-0000-4000-8000-000000000000', '::1', '10.0.0.0/8', '08:00:2b:01:02:03', 'a:1A b:2', 'a & !b', '$.a ? (@ > 1)', 'high',
        '{low,NULL}', '\\x00ff', true, 'x', '1/2');
    insert into ${place} (id) values (3);
    alter type pair add attribute later int;
    alter table ${place} drop column gone, add column late int default 7, add column u2 uuid default '6b1f8a52-0000-4000-8000-000000000001'`)
  if (without !== null) await owner.query(`alter table ${place} drop column acl`)
  await owner.query(`vacuum analyze ${place}`)
  return table
}

/** Some ten rows a block. */
async function numbered(database: Database, rows: number): Promise<TableName> {
  const table = database.table('numbered')
  const app = await database.session('app')
  const place = quoted(table).text
  await app.query(`create table ${place} (id int primary key, v text, padding text default repeat('-', 700))`)
  await app.query(`insert into ${place} select n, 'row ' || n from generate_series(1, ${rows}) n`)
  await app.query(`vacuum analyze ${place}`)
  return table
}

function KEYS() {
  const random = `md5(n::text)`
  return [
    { key: 'a, b', columns: 'a int not null, b int not null', values: 'n % 3, n' },
    { key: 'a, b desc', columns: 'a int not null, b int not null', values: 'n % 3, n' },
    { key: 'a desc', columns: 'a timestamptz not null', values: `now() - n * interval '1 day'` },
    { key: 'a', columns: 'a uuid not null', values: `${random}::uuid` },
    { key: 'a text_pattern_ops', columns: 'a text not null', values: random },
    { key: 'a', columns: 'a numeric not null', values: 'n / 7.0' },
    { key: 'a', columns: 'a float8 not null', values: 'n / 7.0' },
    { key: 'a', columns: 'a char(40) not null', values: random },
    {
      key: 'a, b',
      columns: 'a int[] not null, b interval not null',
      values: `array[n % 5, 1], n * interval '7 hours'`,
    },
    { key: 'a, b', columns: 'a types.citext not null, b int not null', values: `('Key ' || n % 20)::types.citext, n` },
  ]
}

function comparings(events: readonly Event[]): Event[] {
  return events.filter((event) => event.type === 'progress' && event.progress.what === 'comparing')
}

async function ranges(database: Database) {
  const { rows } = await database.admin<{ number: number; upto: string[] | null; rows: number; milliseconds: number }>(
    'select number::int as number, upto, rows::int as rows, milliseconds from ebb.comparison order by number',
  )
  return rows
}

async function writable(database: Database, table: TableName): Promise<string> {
  const { rows } = await database.admin<{ columns: string }>(
    sql`select string_agg(quote_ident(attname), ', ') as columns from pg_attribute
      where attrelid = ${quoted(table).text}::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
  )
  return rows[0]?.columns ?? ''
}

async function keyOf(database: Database, table: TableName): Promise<string> {
  const { rows } = await database.admin<{ name: string }>(
    sql`select conname as name from pg_constraint where conrelid = ${quoted(table).text}::regclass and contype = 'p'`,
  )
  return rows[0]?.name ?? ''
}

async function logOf(database: Database): Promise<string> {
  const { rows } = await database.admin<{ name: string }>(
    `select log_name as name from ebb.capture where log_name like '%back%'`,
  )
  return rows[0]?.name ?? ''
}

async function retiredOf(database: Database, table: TableName): Promise<TableName> {
  const { rows } = await database.admin<{ name: string }>(
    `select plan #>> '{rebuild,retired,name}' as name from ebb.run order by id limit 1`,
  )
  return { schema: table.schema, name: rows[0]?.name ?? '' }
}
