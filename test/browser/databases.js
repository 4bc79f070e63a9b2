// Databases that are worth a report: each a function that fills an empty one.

import { execFile } from 'node:child_process'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { clearTimeout, setTimeout } from 'node:timers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'

const run = promisify(execFile)
const PROGRAM = fileURLToPath(new URL('../../bin/ebb.js', import.meta.url))

/** Runs a command line on a database; `code` is how it may end. */
export async function ebb(url, args, codes = [0]) {
  const env = { PATH: process.env.PATH, DATABASE_URL: url }
  const ended = await run(process.execPath, [PROGRAM, ...args], { env }).catch((error) => error)
  if (!codes.includes(ended.code ?? 0)) throw ended
  return ended.stdout
}

export async function sql(url, text, values) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const result = await client.query(text, values)
    return Array.isArray(result) ? [] : result.rows
  } finally {
    await client.end()
  }
}

/** What is looked at, by the names of the databases. */
export const FILLED = { empty, shop, thousands }

/** Nothing at all. */
async function empty() {}

/** Three partitioned tables, two purges, and a rebuild that pauses and is waited for; archives, holds, what is due. */
async function shop(url, folder) {
  const archive = join(folder, 'archive')
  await mkdir(archive)
  await visits(url, archive)
  await orders(url)
  await measurements(url)
  await purges(url)
  await rebuild(url)
}

/** By month, for a year: the oldest archived and dropped, one restored, some detached, two due. */
async function visits(url, archive) {
  await sql(
    url,
    'create table visits (id bigint generated always as identity, at timestamptz not null, page text, primary key (id, at)) partition by range (at)',
  )
  await months(url, 'visits', -12, 0)
  await sql(
    url,
    `insert into visits (at, page) select now() - n * interval '20 minutes', repeat('/page', 1 + (n / 300 % 20)) from generate_series(0, 26000) n; analyze visits`,
  )
  await ebb(url, ['rotate', 'visits', '--keep', '270 days', '--archive', archive, '--execute'])
  await ebb(url, ['restore', await latestReceipt(archive), '--attach', '--execute'])
  await ebb(url, [
    'rotate',
    'visits',
    '--keep',
    '200 days',
    '--grace',
    '20 days',
    '--no-archive',
    '--accept',
    'shorter-keep',
    '--execute',
  ])
  await sql(
    url,
    `update ebb.partition_set set policy = jsonb_set(policy, '{keep}', '{"count": 100, "unit": "day"}') where table_name = 'visits'`,
  )
}

async function latestReceipt(archive) {
  const files = await readdir(archive, { recursive: true })
  const receipts = files.filter((path) => path.endsWith('receipt.json')).sort()
  return join(archive, receipts.at(-1))
}

/** Converted: everything is in one history, many times as large as what comes. A name that would do harm. */
async function orders(url) {
  await sql(
    url,
    `create table "<b>""x""&" (id bigint generated always as identity primary key, created_at timestamptz not null, note text);
     insert into "<b>""x""&" (created_at, note) select now() - n * interval '1 minute', 'an order' from generate_series(1, 100000) n;
     analyze "<b>""x""&"`,
  )
  await ebb(url, [
    'partition',
    '"<b>""x""&"',
    '--by',
    'created_at',
    '--every',
    'month',
    '--keep',
    '90 days',
    '--execute',
  ])
}

/** By id, with a name as long as can be, expiring by a time. */
async function measurements(url) {
  const name = 'measurements_of_all_sensors_in_all_buildings_of_the_customer_2'
  await sql(
    url,
    `create table ${name} (id bigint generated always as identity primary key, measured_at timestamptz not null, value float8);
     insert into ${name} (measured_at, value) select now() - (60001 - n) * interval '2 minutes', n from generate_series(1, 60000) n;
     create index on ${name} (measured_at); analyze ${name}`,
  )
  await ebb(url, [
    'partition',
    name,
    '--by',
    'id',
    '--every',
    'week',
    '--keep',
    '60 days',
    '--expire-by',
    'measured_at',
    '--execute',
  ])
}

/** One that another session waits for, and one that ends in the middle. */
async function purges(url) {
  await sql(
    url,
    `create table mails (id bigint generated always as identity primary key, sent_at timestamptz not null, body text);
     insert into mails (sent_at, body) select now() - n * interval '1 minute', repeat('x', 100) from generate_series(1, 40000) n; analyze mails;
     create table drafts (like mails including all); insert into drafts overriding system value select * from mails; analyze drafts`,
  )
  const waiting = lockedOut(url, 'mails')
  await ebb(url, [
    'purge',
    'mails',
    '--where',
    "sent_at < now() - interval '5 days'",
    '--no-archive',
    '--pause-ms',
    '60',
    '--target-ms',
    '20',
    '--execute',
  ])
  await waiting
  const stop = setTimeout(
    () =>
      void sql(url, `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'ebb purge%'`),
    2500,
  )
  await ebb(
    url,
    [
      'purge',
      'drafts',
      '--where',
      "sent_at < now() - interval '2 days'",
      '--no-archive',
      '--pause-ms',
      '100',
      '--target-ms',
      '10',
      '--execute',
    ],
    [0, 1, 75],
  )
  clearTimeout(stop)
}

/** An application that wants all of a table for itself, again and again. */
async function lockedOut(url, table) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  for (let i = 0; i < 60; i++) {
    await client.query(`begin; lock table ${table} in share mode; commit`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await client.end()
}

async function rebuild(url) {
  await sql(
    url,
    `create table logs (id bigint generated always as identity primary key, at timestamptz not null, line text);
     insert into logs (at, line) select now() - n * interval '1 minute', repeat('x', 200) from generate_series(1, 400000) n; analyze logs`,
  )
  await ebb(url, [
    'rebuild',
    'logs',
    '--keep',
    "at > now() - interval '30 days'",
    '--no-archive',
    '--retire-after',
    '7 days',
    '--pause-ms',
    '150',
    '--execute',
  ])
}

/** So many partitions, a day each, nearly all of them in the past. */
async function thousands(url) {
  await sql(url, 'create table readings (at timestamptz not null, value float8) partition by range (at)')
  await sql(
    url,
    `do $$ declare day date; begin for n in 0..4999 loop day := current_date - 4990 + n; execute format(
       'create table readings_%s partition of readings for values from (%L) to (%L)', to_char(day, 'YYYY_MM_DD'),
       day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC'); if n % 500 = 499 then commit; end if; end loop; end $$`,
  )
  await sql(url, `insert into readings select now() - n * interval '4 hours', n from generate_series(0, 29000) n`)
  await sql(url, `analyze readings`)
  await ebb(url, ['rotate', 'readings', '--keep', '20 years', '--no-archive', '--execute'])
  // As if years had passed.
  await sql(url, `update ebb.partition_set set policy = jsonb_set(policy, '{keep}', '{"count": 13, "unit": "year"}')`)
}

/** Months from one to another, seen from the present one, in UTC. */
async function months(url, table, from, to) {
  await sql(
    url,
    `do $$ declare month timestamp; begin for n in ${from}..${to} loop month := date_trunc('month', now() at time zone 'UTC') + n * interval '1 month'; execute format(
       'create table ${table}_%s partition of ${table} for values from (%L) to (%L)', to_char(month, 'YYYY_MM'),
       month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC'); end loop; end $$`,
  )
}
