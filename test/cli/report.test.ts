import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { ident, sql } from '../../src/sql/sql.ts'
import { test, type Database } from '../support/database.ts'
import { startPgBouncer } from '../support/pgbouncer.ts'
import { ebb, type Ran } from './support.ts'

const HARMFUL = '<b>"x"&'
const SQL_NAME = '"<b>""x""&"'

/** A set with a history, a default partition, what has been removed and what is ahead; a purge of another table. */
async function world(database: Database): Promise<void> {
  const session = await database.session('setup')
  await session.query(`
    create table ${SQL_NAME} (at timestamptz not null, note text) partition by range (at);
    create table rest partition of ${SQL_NAME} default;
    create table mails (id bigint generated always as identity primary key, old boolean);
    insert into mails (old) select n % 2 = 0 from generate_series(1, 3000) n; analyze mails`)
  await session.query(`
    do $$ declare month timestamp; begin
      for n in -5..0 loop
        month := date_trunc('month', now() at time zone 'UTC') + n * interval '1 month';
        execute format('create table "part of %s" partition of ${SQL_NAME} for values from (%L) to (%L)', to_char(month, 'YYYY-MM'),
          month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC');
      end loop;
    end $$`)
  await session.query(
    `insert into ${SQL_NAME} select now() - n * interval '1 hour', 'a note' from generate_series(0, 1500) n; insert into ${SQL_NAME} values ('2001-01-01', 'early'); analyze ${SQL_NAME}`,
  )
}

async function report(database: Database, url = database.url): Promise<{ page: string; file: string; ran: Ran }> {
  const folder = await mkdtemp(join(tmpdir(), 'ebb-report-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'report.html')
  const ran = await ebb(['report', '--url', url, '--html', file])
  return { page: ran.code === 0 ? await readFile(file, 'utf8') : '', file, ran }
}

/** The lines of all tables of the page: of each cell the exact value where there is one, else its text. */
function linesOf(page: string): string[][] {
  return [...page.matchAll(/<tr>(.*?)<\/tr>/gs)].map(([, line = '']) =>
    line
      .split(/<td[^>]*>/)
      .slice(1)
      .map((cell) => /<(?:data value|time datetime)="([^"]*)"/.exec(cell)?.[1] ?? textOf(cell)),
  )
}

function textOf(html: string): string {
  const text = html.replace(/<[^>]*>/g, '').trim()
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
}

test('a report says what SQL says, and is harmless whatever tables are called', async ({ database }) => {
  await world(database)
  const db = ['--url', database.url]
  expect((await ebb(['rotate', SQL_NAME, ...db, '--keep', '70 days', '--no-archive', '--execute'])).code).toBe(0)
  expect(
    (
      await ebb([
        'purge',
        'mails',
        ...db,
        '--where',
        'old',
        '--no-archive',
        '--pause-ms',
        '5',
        '--target-ms',
        '5',
        '--execute',
      ])
    ).code,
  ).toBe(0)
  // As if it had been longer ago.
  await database.admin(`update ebb.partition_set set policy = jsonb_set(policy, '{keep,count}', '20')`)
  const { page, file, ran } = await report(database)
  expect(ran.out).toMatch(/^Wrote .*report\.html \(\d/)
  const lines = linesOf(page)

  // Partitions, with their sizes and rows as they are.
  const { rows: partitions } = await database.admin<{ name: string; bytes: string; rows: number }>(sql`
    select c.relname as name, pg_total_relation_size(c.oid)::text as bytes, c.reltuples::float8 as rows
    from pg_inherits h join pg_class c on c.oid = h.inhrelid where h.inhparent = ${SQL_NAME}::regclass`)
  expect(partitions.length).toBeGreaterThan(5)
  for (const { name, bytes, rows } of partitions) {
    const line = lines.find(([first, , , state]) => first === name && state !== undefined)
    expect(line?.slice(-1), name).toEqual([bytes])
    if (rows >= 0) expect(Number(line?.at(-2)), name).toBe(rows)
  }
  expect(lines.filter(([, , , state]) => state === 'expired').length).toBeGreaterThan(0)
  const total = partitions.reduce((sum, { bytes }) => sum + Number(bytes), 0)
  expect(lines.find(([first]) => first === `public.${SQL_NAME}`)?.slice(1, 4)).toEqual([
    'warning',
    String(total),
    String(partitions.length),
  ])

  // What rotate has removed.
  const { rows: removed } = await database.admin<{ name: string; at: Date; bytes: string }>(
    `select partition_name as name, at, bytes::text from ebb.rotation where action = 'dropped'`,
  )
  expect(removed.length).toBeGreaterThan(0)
  for (const { name, at, bytes } of removed)
    expect(lines).toContainEqual([
      name,
      ...(lines.find(([first]) => first === name)?.slice(1, 3) ?? []),
      at.toISOString(),
      'dropped',
      '–',
      bytes,
    ])

  // The purge: rows, pauses, and what others may have waited for.
  const {
    rows: [run],
  } = await database.admin<Record<string, string>>(`
    select id::text, (extract(epoch from date_trunc('milliseconds', ended_at) - date_trunc('milliseconds', started_at)) * 1000)::int::text as took,
      (select sum(rows)::text from ebb.purge_batch where run_id = r.id) as rows, (select max(milliseconds)::text from ebb.purge_batch where run_id = r.id) as slowest,
      (select sum(v::float8)::text from ebb.pace_interval, jsonb_each_text(paused) p (k, v) where run_id = r.id) as paused,
      (select max(longest_wait_ms)::text from ebb.pace_interval where run_id = r.id) as waited
    from ebb.run r where command = 'purge'`)
  const line = lines.find(([first, what]) => first === run!.id && what === 'purge public.mails')
  expect(line?.slice(4, 6)).toEqual([run!.took, run!.rows])
  expect(Number(run!.paused)).toBeGreaterThan(0)
  expect(Number(line?.[6])).toBeCloseTo(Number(run!.paused), 6)
  expect(line?.[7]).toBe(run!.waited)
  const batches = lines.filter(([, , kind]) => kind === 'batches')
  expect(batches.reduce((sum, one) => sum + Number(one[4]), 0)).toBe(Number(run!.rows))
  expect(Math.max(...batches.map((one) => Number(one[6])))).toBe(Number(run!.slowest))

  // Nothing is loaded, nothing runs, and names are text.
  expect(page).not.toMatch(/<script|<b>|<img|<link rel="stylesheet"|\bon\w+=|url\((?!#)|https?:/)
  expect(page).toContain('&lt;b&gt;&quot;x&quot;&amp;')
  expect(textOf(page)).toContain(HARMFUL)
  expect(page).not.toContain(new URL(database.url).password || '\0')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
})

test('a report is made by a role that may read the journal and nothing else, as the status is', async ({
  database,
}) => {
  await world(database)
  expect((await ebb(['rotate', SQL_NAME, '--url', database.url, '--no-archive', '--execute'])).code).toBe(0)
  const reader = await database.role('reader')
  await database.admin(
    `grant usage on schema ebb to ${ident(reader).text}; grant select on all tables in schema ebb to ${ident(reader).text}`,
  )
  expect(await ebb(['status', '--url', database.urlFor(reader)])).toMatchObject({ code: 0 })
  const { page, ran } = await report(database, database.urlFor(reader))
  expect(ran).toMatchObject({ code: 0, err: '' })
  expect(textOf(page)).toContain(`public.${SQL_NAME}`)
})

test('a database without a journal has a page, too; one of an earlier version tells what it does not know', async ({
  database,
}) => {
  const { page } = await report(database)
  expect(textOf(page)).toMatch(/No table of this database is managed by ebb rotate/)
  const session = await database.session('setup')
  await session.query(`create table mails (id int primary key); insert into mails select generate_series(1, 10)`)
  expect(
    (await ebb(['purge', 'mails', '--url', database.url, '--where', 'id < 5', '--no-archive', '--execute'])).code,
  ).toBe(0)
  await database.admin(`drop table ebb.pace_interval; delete from ebb.migration where name like '021%'`)
  const earlier = await report(database)
  expect(textOf(earlier.page)).toMatch(/This journal was written by an earlier version of Ebb/)
  expect(linesOf(earlier.page)).toContainEqual(expect.arrayContaining(['purge public.mails', '4']))
})

test('what the page is written to is known before anything is read', async ({ database }) => {
  const folder = await mkdtemp(join(tmpdir(), 'ebb-report-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const nowhere = ['report', '--url', 'postgres://nobody@127.0.0.1:1/nothing', '--html']
  for (const file of [join(folder, 'missing', 'a.html'), folder]) {
    const ran = await ebb([...nowhere, file])
    expect(ran).toMatchObject({ code: 2, err: expect.stringContaining(file) as string })
    expect(ran.err).not.toMatch(/127\.0\.0\.1/)
  }
  // One that is there is replaced with its rights, through a link.
  const [file, link] = [join(folder, 'there.html'), join(folder, 'link.html')]
  await writeFile(file, 'before')
  await chmod(file, 0o644)
  await symlink(file, link)
  expect(await ebb([...nowhere, link])).toMatchObject({ code: 75 })
  expect(await readFile(file, 'utf8')).toBe('before')
  expect(await ebb(['report', '--url', database.url, '--html', link])).toMatchObject({ code: 0 })
  expect(await readFile(file, 'utf8')).toMatch(/^<!doctype html>/)
  expect((await stat(file)).mode & 0o777).toBe(0o644)
})

test('what only reads says the same through PgBouncer, in session mode', async ({ database, needs }) => {
  await world(database)
  const rotated = ['rotate', SQL_NAME, '--keep', '70 days', '--no-archive', '--execute', '--url', database.url]
  expect((await ebb(rotated)).code).toBe(0)
  const url = await startPgBouncer(needs('pgbouncer'), database, 'session')

  const { page, ran } = await report(database, url)
  expect(ran).toMatchObject({ code: 0, err: '' })
  const ofPartitions = (html: string) => linesOf(html).filter(([first]) => first?.startsWith('part of '))
  expect(ofPartitions(page)).toEqual(ofPartitions((await report(database)).page))
  expect(ofPartitions(page).length).toBeGreaterThan(5)
  for (const words of [['status'], ['check'], ['inspect', SQL_NAME]])
    expect(await ebb([...words, '--url', url]), words[0]).toEqual(await ebb([...words, '--url', database.url]))
})

test('through PgBouncer in transaction mode there is no report, but the reason, and what was there stays', async ({
  database,
  needs,
}) => {
  await world(database)
  const rotated = ['rotate', SQL_NAME, '--keep', '70 days', '--no-archive', '--execute', '--url', database.url]
  expect((await ebb(rotated)).code).toBe(0)
  const url = await startPgBouncer(needs('pgbouncer'), database, 'transaction')
  const { file, ran } = await report(database)
  expect(ran.code).toBe(0)
  const before = await readFile(file, 'utf8')

  for (const words of [['report', '--html', file], ['status'], ['check'], ['inspect', SQL_NAME]]) {
    const { code, out, err } = await ebb([...words, '--url', url])
    expect({ code, out }, words[0]).toEqual({ code: 1, out: '' })
    expect(err, words[0]).toMatch(
      /pooler in transaction mode[^]*now: Nothing has been changed\.[^]*pool in session mode/,
    )
  }
  expect(await readFile(file, 'utf8')).toBe(before)
})
