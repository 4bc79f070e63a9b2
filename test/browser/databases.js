// Databases that are worth a report: each a function that fills an empty one.

import { execFile } from 'node:child_process'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { clearTimeout, setTimeout } from 'node:timers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createJiti } from 'jiti'
import pg from 'pg'

const { followPrimary } = await createJiti(import.meta.url).import('../support/base-backup.ts')

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
export const FILLED = { paced, empty, shop, thousands }

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

/**
 * Runs that give way: beside a replica that stops replaying, sessions that want the whole table, one that holds a row, and a
 * pause file. What others saw of them is kept in a table, for comparison.
 */
async function paced(url, folder, server) {
  await sql(url, 'create table seen (what text primary key, most float8 not null)')
  await purgeAmongOthers(url, folder)
  const standby = await followPrimary(server)
  try {
    await purgeBesideReplica(url, standby)
    await rebuildBesideReplica(url, standby)
  } finally {
    await standby.remove()
    await sql(url, 'select pg_drop_replication_slot(slot_name) from pg_replication_slots')
  }
}

/** Each row takes its time, so that batches do. */
async function purgeAmongOthers(url, folder) {
  await sql(
    url,
    `create table jobs (id bigint generated always as identity primary key, done boolean not null);
     insert into jobs (done) select true from generate_series(1, 12000); analyze jobs;
     create function takes_time() returns trigger language plpgsql as $$ begin perform pg_sleep(0.0012); return old; end $$;
     create trigger takes_time before delete on jobs for each row execute function takes_time()`,
  )
  const pauseFile = join(folder, 'pause')
  const limits = ['--target-ms', '600', '--pause-file', pauseFile, '--pause-ms', '20']
  const running = ebb(url, ['purge', 'jobs', '--where', 'done', '--all-rows', '--no-archive', ...limits, '--execute'])
  const blocked = untilPaused(url, 'jobs', 'blocked sessions', running)
  await whoWaits(url, 'jobs', blocked)
  await blocked
  await writeFile(pauseFile, '')
  await untilPaused(url, 'jobs', 'pause file', running)
  await holdsRow(url, 'update jobs set done = done where id = 12000', 6_000, () => rm(pauseFile))
  await running
}

async function purgeBesideReplica(url, standby) {
  await sql(
    url,
    `create table lines (id bigint generated always as identity primary key, at timestamptz not null, line text);
     insert into lines (at, line) select now() - n * interval '1 minute', repeat('x', 100) from generate_series(1, 600000) n; analyze lines`,
  )
  await besideReplica(url, standby, 'lines', [
    'purge',
    'lines',
    '--where',
    "at < now() - interval '30 days'",
    '--no-archive',
  ])
}

async function rebuildBesideReplica(url, standby) {
  await sql(
    url,
    `create table notes (id bigint generated always as identity primary key, at timestamptz not null, note text);
     insert into notes (at, note) select now() - n * interval '1 minute', repeat('x', 200) from generate_series(1, 500000) n; analyze notes`,
  )
  await besideReplica(url, standby, 'notes', ['rebuild', 'notes', '--keep-all', '--transport', 'copy'])
}

/** A run whose replica has stopped replaying, until it has waited for it for a while. */
async function besideReplica(url, standby, table, words) {
  await caughtUp(url)
  await sql(standby.url, 'select pg_wal_replay_pause()')
  const running = ebb(url, [...words, '--max-replica-lag', '20MB', '--pause-ms', '10', '--execute'])
  const watching = watchLag(url, table, running)
  await untilPaused(url, table, 'replica lag', running)
  await sleep(7_000)
  await sql(standby.url, 'select pg_wal_replay_resume()')
  await running
  await watching
}

const LAG = 'select max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::float8 as bytes from pg_stat_replication'

async function caughtUp(url) {
  for (;;) {
    const [{ bytes }] = await sql(url, LAG)
    if (bytes !== null && bytes < 1_000_000) return
    await sleep(100)
  }
}

/** What somebody else sees of the lag while a run is at work. */
async function watchLag(url, table, running) {
  await whileWaitingFor(running, async () => {
    const [{ bytes }] = await sql(url, LAG)
    await keep(url, `lag ${table}`, bytes ?? 0)
    await sleep(50)
  })
}

/** A session that wants a table for itself, again and again, and how long it waits at most. */
async function whoWaits(url, table, until) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await whileWaitingFor(until, async () => {
    const began = performance.now()
    await client.query(`begin; lock table ${table} in share mode; commit`)
    await keep(url, `wait ${table}`, performance.now() - began)
    await sleep(50)
  })
  await client.end()
}

async function holdsRow(url, statement, milliseconds, meanwhile) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`begin; ${statement}`)
  await meanwhile()
  await sleep(milliseconds)
  await client.query('commit')
  await client.end()
}

async function whileWaitingFor(something, work) {
  let ended = false
  const end = () => {
    ended = true
  }
  something.then(end, end)
  while (!ended) await work()
}

async function keep(url, what, value) {
  await sql(url, `insert into seen values ($1, $2) on conflict (what) do update set most = greatest(seen.most, $2)`, [
    what,
    value,
  ])
}

/** Until the journal has a pause of the run on a table for this reason; what ends earlier fails. */
async function untilPaused(url, table, reason, running) {
  let failure = null
  running.then(
    () => (failure = new Error(`the run on ${table} has ended without a pause because of: ${reason}`)),
    (error) => (failure = error),
  )
  for (;;) {
    const paused = await sql(
      url,
      `select from ebb.pace_interval i join ebb.run r on r.id = i.run_id where r.table_name = $1 and i.paused ? $2`,
      [table, reason],
    ).catch(() => [])
    if (paused.length > 0) return
    if (failure !== null) throw failure
    await sleep(200)
  }
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
