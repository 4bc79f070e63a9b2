import { describe, expect } from 'vitest'
import { readConditionSettings } from '../../src/catalog/condition/condition-settings.ts'
import { advise } from '../../src/engine/commands/advise.ts'
import { withSession } from '../../src/db/session.ts'
import { resume, retire } from '../../src/engine/runs/runs.ts'
import { describeAdvice } from '../../src/report/advice.ts'
import { checkQuery } from '../../src/pacing/readings/health.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { ident, literal, raw, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { batchesOf, candidatesOf, markRequest, purgeRequest, purgeRows } from '../support/purging.ts'
import { rebuildRequest } from '../support/rebuilding.ts'
import { quietly, written } from '../support/tool.ts'
import {
  keepView,
  mark,
  planCandidatesOf,
  planPurgeOf,
  planRebuildOf,
  rebuild,
  writeCandidates,
} from '../support/commands.ts'

// A condition means what it means in a session of the role that connects, in that database.

/** From now on, for new sessions of whomever. */
async function set(database: Database, settings: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(settings))
    await database.admin(`alter database ${ident(database.name).text} set ${name} to ${literal(value).text}`)
}

/** A table with rows 1, 2, …, and the ids of the rows that match as a session of the role sees them. */
async function made(database: Database, column: string, values: readonly string[]): Promise<TableName> {
  const table = database.table('e')
  const owner = await database.session('setup')
  await owner.query(sql`create table ${quoted(table)} (id int primary key, ${raw(column)})`.text)
  for (const [i, value] of values.entries())
    await owner.query(sql`insert into ${quoted(table)} values (${raw(String(i + 1))}, ${raw(value)})`.text)
  await owner.query(sql`analyze ${quoted(table)}`.text)
  return table
}

async function idsOf(database: Database, table: TableName, where = 'true'): Promise<number[]> {
  const app = await database.session('app')
  const { rows } = await app.query<{ id: number }>(
    sql`select id from ${quoted(table)} where ${raw(where)} order by id`.text,
  )
  await app.end()
  return rows.map(({ id }) => id)
}

test('what the role has is read as it is where every query is to have a parallel worker', async ({ database }) => {
  const always = database.version < 160_000 ? 'force_parallel_mode' : 'debug_parallel_query'
  await set(database, { search_path: 'pg_temp', timezone: 'Asia/Tokyo', [always]: 'on' })

  const settings = await withSession(database.url, 'test', (session) => readConditionSettings(session))
  expect(settings).toMatchObject({ search_path: 'pg_temp', TimeZone: 'Asia/Tokyo', timezone_abbreviations: 'Default' })
})

const MOMENTS = [`'2025-12-01 00:00+00'`, `'2025-12-31 20:00+00'`, `'2026-02-01 00:00+00'`]
const BEFORE_NEW_YEAR = `at < '2026-01-01'`
const TOKYO = { timezone: 'Asia/Tokyo' }

describe('a condition is evaluated with the time zone of the role', () => {
  async function events(database: Database): Promise<TableName> {
    const table = await made(database, 'at timestamptz not null', MOMENTS)
    await set(database, TOKYO)
    expect(await idsOf(database, table, BEFORE_NEW_YEAR)).toEqual([1])
    return table
  }

  test('by purge, and the plan shows it', async ({ database }) => {
    const table = await events(database)
    const request = purgeRequest(BEFORE_NEW_YEAR)
    const { evidence } = await planPurgeOf(database.url, written(table), request, quietly())
    expect(evidence.join('\n')).toContain('read with TimeZone = Asia/Tokyo')
    await purgeRows(database, table, request, { turns: batchesOf(1) })
    expect(await idsOf(database, table)).toEqual([2, 3])
  })

  test('by purge along an index', async ({ database }) => {
    const table = await events(database)
    await database.admin(sql`create index on ${quoted(table)} (at)`.text)
    await purgeRows(database, table, purgeRequest(BEFORE_NEW_YEAR, { orderBy: 'at' }), { turns: batchesOf(1) })
    expect(await idsOf(database, table)).toEqual([2, 3])
  })

  test('by rebuild, with both transports', async ({ database }) => {
    const table = await events(database)
    for (const transport of ['server', 'copy'] as const) {
      const request = rebuildRequest({ keep: `not (${BEFORE_NEW_YEAR})`, transport })
      const { evidence } = await planRebuildOf(database.url, written(table), request, quietly())
      expect(evidence.join('\n')).toContain('read with TimeZone = Asia/Tokyo')
      const { runId } = await rebuild(database.url, written(table), request, quietly())
      expect(await idsOf(database, table)).toEqual([2, 3])
      await retire(database.url, { runId }, quietly())
    }
  })

  test('by candidates, and by the purge of them from another session', async ({ database }) => {
    const table = await events(database)
    const plan = await planCandidatesOf(database.url, written(table), { where: BEFORE_NEW_YEAR }, quietly())
    expect(plan.evidence.join('\n')).toContain('read with TimeZone = Asia/Tokyo')
    const { runId } = await writeCandidates(database.url, written(table), { where: BEFORE_NEW_YEAR }, quietly())
    await set(database, { timezone: 'America/New_York', intervalstyle: 'sql_standard' })
    const candidates = candidatesOf(runId)
    const { remaining } = await purgeRows(database, table, purgeRequest(candidates))
    expect(await idsOf(database, table)).toEqual([2, 3])
    expect(remaining).toMatchObject({ drift: { changed: 0 } })
  })

  test('by mark, whose timestamps are not affected', async ({ database }) => {
    const table = await events(database)
    await database.admin(sql`alter table ${quoted(table)} add gone timestamp`.text)
    const request = markRequest(BEFORE_NEW_YEAR, 'gone')
    await mark(database.url, written(table), request, quietly())
    expect(await idsOf(database, table, 'gone is not null')).toEqual([1])
    expect(
      await idsOf(database, table, `gone at time zone 'UTC' between now() - interval '1 minute' and now()`),
    ).toEqual([1])
  })

  test('by view', async ({ database }) => {
    const table = await events(database)
    const order = { name: null, hideMarked: null, expired: BEFORE_NEW_YEAR, keep: null }
    const { plan } = await keepView(database.url, written(table), order, quietly())
    expect(plan.evidence.join('\n')).toContain('read with TimeZone = Asia/Tokyo')
    expect(await idsOf(database, plan.view)).toEqual([2, 3])
  })

  test('by advise', async ({ database }) => {
    const table = await events(database)
    const owner = await database.session('owner')
    await owner.query(
      sql`insert into ${quoted(table)} select n, '2025-12-31 20:00+00' from generate_series(10, 1000) n`.text,
    )
    await owner.query(sql`analyze ${quoted(table)}`.text)
    const request = { keep: BEFORE_NEW_YEAR, olderThan: null }
    const advice = await advise(database.url, written(table), request, quietly())
    expect(advice.keptRows).toBeLessThan(100)
    expect(describeAdvice(advice).join('\n')).toContain('read with TimeZone = Asia/Tokyo')
  })
})

describe('the same applies to', () => {
  test.for<[string, Record<string, string>, string, readonly string[], string, number[]]>([
    [
      'the order of dates',
      { datestyle: 'SQL, DMY' },
      'v date',
      [`'2026-02-01'`, `'2026-01-02'`, `'2026-01-05'`],
      `v = '01/02/2026'`,
      [1],
    ],
    [
      'signs of intervals',
      { intervalstyle: 'sql_standard' },
      'v interval',
      [`'-1 day -1 hour'`, `'-1 day +1 hour'`],
      `v = '-1 1:00:00'`,
      [1],
    ],
    ['null on the right', { transform_null_equals: 'on' }, 'v int', ['null', '1'], 'v = null', [1]],
    ['bytes as text', { bytea_output: 'escape' }, 'v bytea', [`'ab'`, `'cd'`], `v::text = 'ab'`, [1]],
    ['the path, $user on it', { search_path: '"$user", public' }, 'v int', ['1', '2'], 'chosen(v)', [2]],
  ])('%s', async ([, settings, column, values, where, matching], { database }) => {
    const table = await made(database, column, values)
    const owner = await database.session('schemas')
    const { rows } = await owner.query<{ me: string }>('select current_user as me')
    await database.admin(`create schema if not exists ${ident(rows[0]?.me ?? '').text};
      create or replace function ${ident(rows[0]?.me ?? '').text}.chosen(n int) returns bool language sql immutable as 'select n = 2';
      grant usage on schema ${ident(rows[0]?.me ?? '').text} to public`)
    for (const [name, value] of Object.entries(settings))
      await database.admin(
        `alter database ${ident(database.name).text} set ${name} to ${name === 'search_path' ? value : literal(value).text}`,
      )
    expect(await idsOf(database, table, where)).toEqual(matching)
    await purgeRows(database, table, purgeRequest(where))
    expect(await idsOf(database, table)).toEqual(
      [1, 2, 3].slice(0, values.length).filter((id) => !matching.includes(id)),
    )
  })
})

describe('a resumed run uses the settings it was started with', () => {
  test('also if resumed by a role with other settings', async ({ database }) => {
    const table = await made(database, 'at timestamptz not null', MOMENTS)
    await set(database, TOKYO)
    const stop = new AbortController()
    const request = rebuildRequest({ keep: `not (${BEFORE_NEW_YEAR})` })
    const began = rebuild(database.url, written(table), request, {
      ...quietly(),
      signal: stop.signal,
      observer: (event) => void (event.type === 'step started' && event.step.key === 'copy' && stop.abort()),
    })
    await expect(began).rejects.toThrow()
    await set(database, { timezone: 'America/New_York' })
    const { rows } = await database.admin<{ id: string }>('select id::text from ebb.run order by id desc limit 1')
    await resume(database.url, { runId: rows[0]?.id ?? '' }, quietly())
    expect(await idsOf(database, table)).toEqual([2, 3])
  })
})

test('a candidate set of an earlier version uses the settings it was recorded with', async ({ database }) => {
  const table = await made(database, 'at timestamptz not null', MOMENTS)
  await set(database, TOKYO)
  // Written under UTC, as it was then.
  const url = `${database.url}?options=${encodeURIComponent('-c timezone=UTC')}`
  const { runId } = await writeCandidates(url, written(table), { where: BEFORE_NEW_YEAR }, quietly())
  const owner = await database.session('earlier version')
  await owner.query(`alter table ebb.candidate_set add search_path text not null default 'public', drop settings`)
  await owner.query(`delete from ebb.migration where name like '%-settings%'`)
  const candidates = candidatesOf(runId)
  const { remaining } = await purgeRows(database, table, purgeRequest(candidates))
  expect(remaining).toMatchObject({ drift: { changed: 0 } })
  expect(await idsOf(database, table)).toEqual([3])
})

test('a health query uses them as well', async ({ database }) => {
  await set(database, TOKYO)
  await withSession(database.url, 'pace', async (session) => {
    expect(await checkQuery(session, `select timestamptz '2026-01-01' = '2025-12-31 15:00+00'`)).toEqual({ ok: true })
    const { rows } = await session.query<{ zone: string }>(`select current_setting('timezone') as zone`)
    expect(rows).toEqual([{ zone: 'UTC' }])
  })
})

describe('unsupported settings are an objection', () => {
  test.for<[string, Record<string, string>, string, string, boolean]>([
    ['a float as text', { extra_float_digits: '0' }, 'v float8', `v::text = '0.1'`, true],
    ['a float', { extra_float_digits: '0' }, 'v float8', 'v = 0.1', false],
    ['a time as text', { datestyle: 'German' }, 'v timestamptz', `v || '' like '01.%'`, true],
    ['a backslash', { standard_conforming_strings: 'off' }, 'v text', `v = 'a\\b'`, true],
    ['a time as text by to_char', { datestyle: 'German' }, 'v timestamptz', `to_char(v, 'DD') = '01'`, false],
  ])('%s', async ([, settings, column, where, refused], { database }) => {
    const table = await made(database, column, [])
    await set(database, settings)
    const isRefused = async (url: string) => {
      const { objections } = await planPurgeOf(url, written(table), purgeRequest(where), quietly())
      return objections.some(({ code }) => code.startsWith('condition-settings'))
    }
    expect(await isRefused(database.url)).toBe(refused)
    // The way out.
    const ours = '-c datestyle=iso -c extra_float_digits=1 -c standard_conforming_strings=on'
    expect(await isRefused(`${database.url}?options=${encodeURIComponent(ours)}`)).toBe(false)
  })
})

describe('values sent as text are not changed', () => {
  test('in a candidate set: a row that differs in the last digits is kept', async ({ database }) => {
    const table = await made(database, 'v float8', ['1234567890.123456', '0'])
    await set(database, { extra_float_digits: '0' })
    const { runId } = await writeCandidates(database.url, written(table), { where: 'id = 1' }, quietly())
    await database.admin(sql`update ${quoted(table)} set v = v + 3e-6 where id = 1`.text)
    const candidates = candidatesOf(runId)
    const { remaining } = await purgeRows(database, table, purgeRequest(candidates))
    expect(await idsOf(database, table)).toEqual([1, 2])
    expect(remaining).toMatchObject({ drift: { changed: 1, gone: 0 } })
  })

  test.for<[string, Record<string, string>, string, string]>([
    ['floats', { extra_float_digits: '0' }, 'float8', '1234567890 + n * 1e-6'],
    [
      'intervals',
      { intervalstyle: 'sql_standard' },
      'interval',
      `n * interval '-1 day' + (n % 7 - 3) * interval '1 hour'`,
    ],
    ['bytes', { bytea_output: 'escape' }, 'bytea', `decode(lpad(to_hex(n * 77), 6, '0'), 'hex')`],
    // Israel and India call their times by the same letters.
    [
      'times',
      { datestyle: 'SQL, DMY', timezone: 'Asia/Kolkata' },
      'timestamptz',
      `'2026-01-01'::timestamptz + n * interval '10 minutes'`,
    ],
    ['money', { lc_monetary: 'de_DE.utf8' }, 'money', 'n::money / 7'],
  ])('as a position in the order of %s', async ([, settings, type, value], { database, skip }) => {
    const table = await made(database, `v ${type} not null, old bool`, [])
    const owner = await database.session('owner')
    await owner.query(
      sql`insert into ${quoted(table)} select n, ${raw(value)}, n % 3 > 0 from generate_series(1, 500) n`.text,
    )
    await owner.query(sql`create index on ${quoted(table)} (v)`.text)
    await owner.query(sql`analyze ${quoted(table)}`.text)
    await set(database, settings).catch(() => skip('the server does not know the locale'))
    await purgeRows(database, table, purgeRequest('old', { orderBy: 'v' }), { turns: batchesOf(7) })
    expect(await idsOf(database, table, 'old')).toEqual([])
    expect(await idsOf(database, table)).toHaveLength(166)
  })
})
