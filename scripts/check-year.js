// A year of scheduled runs in fast motion, told with the package as it would be published, in a folder where it is
// installed:
//
//   node scripts/check-year.js <folder> [program] [seed]
//
// The clock is the server's, so a month passes by the data getting a month older: rows, bounds of partitions, and what is
// on hold. Each month rows are written, `ebb run` is killed now and then, or the server crashes under it, the config is
// deployed anew, once with a typing error, and rows of an archive are restored and on hold for a while. Afterwards exactly
// the rows that have not expired are left, and those and the archived ones are all that were ever written, each once, and
// the restored ones twice. It reads what `npm run build` has made, for a server of its own.

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { done, ebb, libraryOf, query, withServer } from './packaged.js'

const folder = process.argv[2]
const seed = Number(process.argv[4] ?? 7)
const archive = join(folder, `year-archive-${seed}`)
const file = join(folder, `year-${seed}.yaml`)
const MONTHS = 12
const ROWS = 60
const RUN = ['run', '--config', file, '--execute']
mkdirSync(archive)
/** How many rows are in two archives in the end. */
let restored = 0

const random = mulberry(seed)
const someMonths = (length) => new Set(Array.from({ length }, () => Math.floor(random() * MONTHS)))
const killed = someMonths(4)
const crashed = someMonths(4)
/** How long a run takes here, in milliseconds: that of the last one. */
let takes = 2000
/** When the last run was begun, by the server's clock. */
let lastRun = ''

await withServer(async (create, server) => {
  const url = await create('year')
  await query(
    url,
    `set timezone = 'UTC';
     create table events (id bigint generated always as identity, at timestamptz not null, primary key (id, at)) partition by range (at);
     create table logs (id bigint generated always as identity primary key, at timestamptz not null, level text not null);
     create table all_events (id bigint, at timestamptz); create table all_logs (id bigint, at timestamptz, level text);
     do $$ declare m timestamptz := date_trunc('month', now()); begin
       execute format('create table events_first partition of events for values from (%L) to (%L)', m, m + interval '1 month');
     end $$`,
  )
  for (let month = 0; month < MONTHS; month++) {
    await write(url)
    deploy(month)
    await scheduled(url, server, month)
    if (month === 6) await refusesTypo(url, month)
    if (month === 7) restored = await restoreSome(url)
    if (month < MONTHS - 1) await aMonthPasses(url)
  }
  await compare(url)
})
console.log(
  `a year of scheduled runs works: of ${MONTHS} months ${killed.size} with a run that was killed, ${crashed.size} with a server that crashed, and nothing lost (seed ${seed})`,
)

/** Rows of this month; what has been written is also kept in tables that nobody cleans up. */
async function write(url) {
  await query(
    url,
    `with new as (insert into events (at)
       select now() - random() * (now() - date_trunc('month', now(), 'UTC')) from generate_series(1, ${ROWS}) returning *)
     insert into all_events select id, at from new`,
  )
  await query(
    url,
    `with new as (insert into logs (at, level)
       select now() - random() * interval '20 days', case when n % 3 = 0 then 'error' else 'debug' end
       from generate_series(1, ${ROWS}) n returning *)
     insert into all_logs select id, at, level from new`,
  )
}

/** Later deployments keep rows longer, and have more partitions ahead. */
function deploy(month, keep = month < 5 ? 'keep: 2 months' : 'keep: 3 months') {
  writeFileSync(
    file,
    `policies:
  public.events:
    partition: { by: at, every: 1 month, premake: ${month < 8 ? 1 : 2}, timezone: UTC }
    ${keep}
    archive: ${archive}
  public.logs:
    purge: { where: "level = 'debug' and at < now() - interval '45 days'" }
    archive: ${archive}
`,
  )
}

/** What is killed is started again, as the next night does. */
async function scheduled(url, server, month) {
  if (killed.has(month)) {
    const run = await runInTheMidst(url)
    run.process.kill('SIGKILL')
    await run.ended
  }
  if (crashed.has(month)) {
    const run = await runInTheMidst(url)
    await server.crash()
    const { code, printed } = await run.ended
    await server.restart()
    // It ends by itself, and asks to be started again.
    assert.ok([0, 75].includes(code), `ended with ${code} when the server had crashed:\n${printed}`)
  }
  ;[{ now: lastRun }] = await query(url, 'select now()::text as now')
  const began = performance.now()
  await done(folder, url, RUN)
  takes = performance.now() - began
}

/** One that is at work, or has just ended. */
async function runInTheMidst(url) {
  const run = ebb(folder, url, ...RUN)
  await Promise.race([sleep(takes * (0.1 + random())), run.ended])
  return run
}

async function refusesTypo(url, month) {
  const before = await counts(url)
  deploy(month, 'keep: 3 days')
  assert.match(await done(folder, url, RUN, 3), /shorter-keep:public.events/)
  assert.deepEqual(await counts(url), before)
  deploy(month)
}

/** Some rows are needed once more: the partition is created again, and nothing removes it until the hold ends. */
async function restoreSome(url) {
  const [{ receipt }] = await query(
    url,
    `select receipt_uri as receipt from ebb.archive where table_name like 'events%' and receipt_uri is not null order by begun_at desc limit 1`,
  )
  await done(folder, url, ['restore', receipt, '--attach', '--hold', '20 days', '--execute'])
  const before = await counts(url)
  await done(folder, url, RUN)
  assert.deepEqual(await counts(url), before)
  const [{ rows }] = await query(url, 'select rows::int as rows from ebb.archive where receipt_uri = $1', [receipt])
  return rows
}

async function counts(url) {
  return query(url, 'select (select count(*)::int from events) as events, (select count(*)::int from logs) as logs')
}

/** Everything is a month older. */
async function aMonthPasses(url) {
  await query(
    url,
    `set timezone = 'UTC';
     create temp table parts as select c.oid::regclass as part, (regexp_match(b.text, 'FROM \\(''(.*?)''\\)'))[1]::timestamptz as lower,
         (regexp_match(b.text, 'TO \\(''(.*?)''\\)'))[1]::timestamptz as upper
       from pg_inherits h join pg_class c on c.oid = h.inhrelid cross join lateral (select pg_get_expr(c.relpartbound, c.oid)) b (text)
       where h.inhparent = 'events'::regclass;
     do $$ declare p record; begin
       for p in select * from parts loop
         execute format('alter table events detach partition %s', p.part);
         execute format('update %s set at = at - interval ''1 month''', p.part);
       end loop;
       for p in select * from parts loop
         execute format('alter table events attach partition %s for values from (%L) to (%L)', p.part,
           p.lower - interval '1 month', p.upper - interval '1 month');
       end loop;
     end $$;
     update logs set at = at - interval '1 month';
     update all_events set at = at - interval '1 month';
     update all_logs set at = at - interval '1 month';
     update ebb.hold set until = until - interval '1 month'`,
  )
}

async function compare(url) {
  const endOfMonth = `date_trunc('month', at, 'UTC') + interval '1 month'`
  assert.deepEqual(await astray(url, 'events', (now) => `${endOfMonth} <= ${now} - interval '3 months'`), [])
  assert.deepEqual(await astray(url, 'logs', (now) => `level = 'debug' and at < ${now} - interval '45 days'`), [])
  const [unfinished] = await query(
    url,
    `select (select count(*)::int from ebb.archive where receipt_uri is null or removal_at is null) as archives,
       (select count(*)::int from ebb.run where status = 'running') as runs, (select count(*)::int from ebb.retirement) as retirements`,
  )
  assert.deepEqual(unfinished, { archives: 0, runs: 0, retirements: 0 })

  assert.match(await done(folder, url, ['archive', 'list', archive]), /./)
  const { restore } = await libraryOf(folder)
  for (const [table, into] of [
    ['events', 'public.back_events'],
    ['logs', 'public.back_logs'],
  ]) {
    const receipts = await query(
      url,
      `select receipt_uri as uri from ebb.archive where table_name = $1 and receipt_uri is not null and removal is not null order by begun_at`,
      [table],
    )
    for (const { uri } of receipts) await restore(url, { receipt: uri, into, hold: 'none', execute: true })
    const [all] = await query(
      url,
      `select count(*)::int as n, count(distinct id)::int as ids, count(*) filter (where w.id is null)::int as strange from
         (select id from ${table} union all select id from ${into}) x left join all_${table} w using (id)`,
    )
    assert.deepEqual(
      all,
      { n: MONTHS * ROWS + (table === 'events' ? restored : 0), ids: MONTHS * ROWS, strange: 0 },
      table,
    )
  }
}

/** Rows that are there and had expired before the last run, and those that are not there and have not expired. */
async function astray(url, table, expired) {
  return query(
    url,
    `select 'there' as is, * from all_${table} where ${expired(`'${lastRun}'::timestamptz`)} and id in (select id from ${table})
     union all
     select 'gone', * from all_${table} where not (${expired('now()')}) and id not in (select id from ${table})`,
  )
}

/** A small generator of random numbers, so that a seed tells the whole story. */
function mulberry(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
