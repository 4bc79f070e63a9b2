// Measures `ebb rebuild` beside what a user would do instead, on one server, in one run:
//
//   npm run bench:rebuild               5,000,000 rows, 3 rounds
//   npm run bench:rebuild -- 1000000 1  fewer
//   npm run bench:rebuild -- 1000000 0  only how writers feel it
//   npm run bench:rebuild -- 5000000 3 'keep all: '   only contestants that are called so
//
// Contestants take turns within a round, and what is reported is the median of
// each one's ratios within its round, so that a slow minute slows all alike.

import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { withSharedSessions } from '../build/db/shared-sessions.js'
import { rebuild } from '../build/engine/commands/rebuild.js'
import { carryOut } from '../build/engine/run.js'
import { retire } from '../build/engine/runs/retire.js'
import { median, onOwnServer, program, quantile, quietly } from './bench/ground.js'
import { busyShare, mayTell } from './bench/quiet.js'

const [rows = 5_000_000, rounds = 3] = process.argv.slice(2, 4).map(Number)
/** Only contestants whose name contains this, and no latency. */
const only = process.argv[4] ?? null
/** For a second after its last query, this session counts as an application at work, which Ebb gives way to. */
const REST_MS = 1_200
let ground
let client

async function fill() {
  console.log(`filling ${rows.toLocaleString('en-US')} rows`)
  await client.query(
    `
    create table source (id bigint generated always as identity, created_at timestamptz not null, kind text not null, payload jsonb not null);
    insert into source (created_at, kind, payload)
      select timestamptz '2025-01-01' + n * interval '7 s', 'kind' || n % 20,
        jsonb_build_object('n', n, 'user', md5(n::text), 'path', '/a/b/' || n % 1000, 'note', repeat('x', 20))
      from generate_series(1, ${rows}) n;
    alter table source add primary key (id);
    create index on source (created_at)`,
  )
  await client.query('vacuum (analyze) source')
  console.log(
    `${(await ground.one("select pg_size_pretty(pg_total_relation_size('source')) as size")).size} with indexes`,
  )
}

async function runRound(round) {
  const result = {}
  // Whoever comes first has colder caches: the next round goes the other way.
  for (const [name, contestant] of round % 2 === 1 ? CONTESTANTS : CONTESTANTS.toReversed()) {
    await fresh()
    const measured = await measure(contestant)
    result[name] = measured
    console.log(
      `round ${round}: ${name.padEnd(44)} ${measured.seconds.toFixed(2)} s  ${measured.wal.toFixed(0)} MB WAL`,
    )
  }
  return result
}

/** The same table anew for every contestant, as files and not as row versions. */
async function fresh() {
  await letGo()
  await client.query('drop table if exists t, t_new, t_retired cascade')
  await client.query(`
    create table t (like source including all);
    insert into t overriding system value select * from source order by id;
    select setval(pg_get_serial_sequence('t', 'id'), ${rows})`)
  await client.query('vacuum (analyze) t')
  await client.query('checkpoint')
  await sleep(REST_MS)
}

async function measure(contestant) {
  const { result, seconds: whole, wal } = await ground.measure(contestant)
  const seconds = result?.seconds ?? whole
  return { seconds, unverified: seconds, wal, ...result }
}

const KEEP_TENTH = `id > ${Math.floor(rows * 0.9)}`
const CHUNKS = 100
const HAS_REPACK = program('pg_repack') !== null

const CONTESTANTS = [
  ['copy only: psql | psql, binary', () => withEmptyCopy(psqlPipe)],
  ['copy only: ebb, transport copy', () => ebbCopy('copy')],
  ['copy only: ebb, transport copy, 2 jobs', () => ebbCopy('copy', 2)],
  ['copy only: insert … select in chunks', () => withEmptyCopy(insertInChunks)],
  ['copy only: ebb, transport server', () => ebbCopy('server')],
  ['keep all: ebb rebuild, server, verified', () => ebbTotal({ transport: 'server' })],
  ['keep all: ebb rebuild, server, 1 job, verified', () => ebbTotal({ transport: 'server', jobs: 1 })],
  ['keep all: ebb rebuild, copy, verified', () => ebbTotal({ transport: 'copy' })],
  ...(HAS_REPACK
    ? [
        ['keep all: pg_repack', () => pgRepack()],
        ['keep all: pg_repack, 2 jobs', () => pgRepack(2)],
        ['keep all: pg_repack, and vacuum', pgRepackAndVacuum],
      ]
    : []),
  ['keep 10 %: create table as, and indexes', createTableAs],
  ['keep 10 %: delete and vacuum full', deleteAndVacuumFull],
  ...(HAS_REPACK ? [['keep 10 %: delete and pg_repack', deleteAndRepack]] : []),
  ['keep 10 %: ebb rebuild, verified', () => ebbTotal({ transport: 'auto', keep: KEEP_TENTH })],
].filter(([name]) => only === null || name.includes(only))

async function withEmptyCopy(fillIt) {
  await client.query('create table t_new (like t including defaults)')
  const { seconds, wal } = await ground.measure(fillIt)
  const { seconds: vacuum } = await ground.measure(() => client.query('vacuum (analyze) t_new'))
  return { seconds, wal, vacuumed: seconds + vacuum }
}

function psqlPipe() {
  const psql = program('psql')
  if (psql === null) return
  const out = spawn(psql, ['-X', '-c', 'copy t to stdout (format binary)', ground.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const into = spawn(psql, ['-X', '-c', 'copy t_new from stdin (format binary)', ground.url], {
    stdio: [out.stdout, 'ignore', 'inherit'],
  })
  return new Promise((resolve, reject) =>
    into.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`psql: ${code}`)))),
  )
}

async function insertInChunks() {
  const { blocks } = await ground.one(`select pg_relation_size('t') / 8192 as blocks`)
  const size = Math.ceil(Number(blocks) / CHUNKS)
  await inNewSession(async (session) => {
    for (let first = 0; first < blocks; first += size)
      await session.query(
        `insert into t_new select * from t where ctid >= '(${first},0)' and ctid < '(${first + size},0)'`,
      )
  })
}

/** As the tools' sessions are: one that has touched all of shared memory before is a tenth faster. */
async function inNewSession(work) {
  const session = new pg.Client({ connectionString: ground.url })
  await session.connect()
  await work(session)
  await session.end()
}

/** Of the command, as one starts it: like psql a process of its own, whose heap is as large as it is there. */
async function ebbCopy(transport, jobs = 1) {
  const words = ['rebuild', 'public.t', '--keep-all', '--transport', transport, '--jobs', String(jobs), '--execute']
  const ebb = spawn(process.execPath, ['bin/ebb.js', ...words, '--json', '--url', ground.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lsn = {}
  let peak = 0
  let last
  for await (const line of createInterface(ebb.stdout)) {
    last = JSON.parse(line)
    if (last.step?.key === 'copy') lsn[last.type] = (await ground.one('select pg_current_wal_lsn() as lsn')).lsn
    peak = Math.max(peak, peakOf(ebb.pid))
  }
  const { runId, steps } = last.result
  retired = runId
  const secondsOf = (key) => steps.find((step) => step.key === key).milliseconds / 1000
  const span = `'${lsn['step finished']}', '${lsn['step started']}'`
  const { wal } = await ground.one(`select pg_wal_lsn_diff(${span}) / 1e6 as wal`)
  if (peak > 0) console.log(`         client ${(peak / 1024).toFixed(0)} MB`)
  return { seconds: secondsOf('copy'), wal: Number(wal), vacuumed: secondsOf('copy') + secondsOf('vacuum') }
}

/** KB that a process has had at most; 0 where the system does not tell. */
function peakOf(pid) {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

async function ebbTotal(request) {
  const began = performance.now()
  const result = await ebb(request)
  const seconds = (performance.now() - began) / 1000
  const verify = result.steps.find((step) => step.key === 'verify').milliseconds / 1000
  console.log(
    `         of which verification ${verify.toFixed(2)} s; locked ${result.swap.heldMs.toFixed(0)} ms; client ${Math.round(process.memoryUsage.rss() / 1e6)} MB`,
  )
  return { seconds, unverified: seconds - verify }
}

async function ebb({ keep = null, transport, jobs = 'auto' }) {
  const request = { keep, transport, jobs, noArchive: true, retireAfter: null }
  const result = await withSharedSessions(ground.url, (target) =>
    carryOut(target, { schema: 'public', name: 't' }, rebuild, request, quietly),
  )
  retired = result.runId
  return result
}

let retired
const retiring = []

/** A command of its own, at a time that the user chooses: not a part of the rebuild, and told by itself. */
async function letGo() {
  if (retired === undefined) return
  const began = performance.now()
  await retire(ground.url, { runId: retired }, quietly)
  retiring.push((performance.now() - began) / 1000)
  retired = undefined
}

async function pgRepack(jobs = 1) {
  await client.query('create extension if not exists pg_repack')
  const where = ['-h', '127.0.0.1', '-p', String(ground.server.port), '-U', 'postgres', '-d', 'postgres']
  const { status, stderr } = spawnSync(
    program('pg_repack'),
    [...where, '-t', 'public.t', '--no-order', ...(jobs > 1 ? ['-j', String(jobs)] : [])],
    {
      encoding: 'utf8',
    },
  )
  if (status !== 0) throw new Error(`pg_repack: ${stderr}`)
}

/** As fit for use as what a rebuild leaves: pg_repack analyses and does not vacuum. */
async function pgRepackAndVacuum() {
  await pgRepack()
  await client.query('vacuum t')
}

function createTableAs() {
  return inNewSession(async (session) => {
    await session.query(`create table t_new as select * from t where ${KEEP_TENTH}`)
    await session.query('alter table t_new add primary key (id)')
    await session.query('create index on t_new (created_at)')
  })
}

const deleteMost = (session) => session.query(`delete from t where not (${KEEP_TENTH})`)

async function deleteAndRepack() {
  await inNewSession(deleteMost)
  await pgRepack()
}

function deleteAndVacuumFull() {
  return inNewSession(async (session) => {
    await deleteMost(session)
    await session.query('vacuum full t')
  })
}

const COMPARISONS = [
  ['transport copy / psql piped into psql', 'copy only: ebb, transport copy', 'copy only: psql | psql, binary'],
  [
    '… both with the vacuum that comes after',
    'copy only: ebb, transport copy',
    'copy only: psql | psql, binary',
    'vacuumed',
    'vacuumed',
  ],
  ['… with 2 jobs', 'copy only: ebb, transport copy, 2 jobs', 'copy only: psql | psql, binary'],
  [
    'transport server / insert … select in equal chunks',
    'copy only: ebb, transport server',
    'copy only: insert … select in chunks',
  ],
  [
    'all rows, server, not verified / pg_repack',
    'keep all: ebb rebuild, server, verified',
    'keep all: pg_repack',
    'unverified',
  ],
  [
    'all rows, server, not verified / pg_repack and vacuum',
    'keep all: ebb rebuild, server, verified',
    'keep all: pg_repack, and vacuum',
    'unverified',
  ],
  [
    'all rows, server, verified / pg_repack, 2 jobs',
    'keep all: ebb rebuild, server, verified',
    'keep all: pg_repack, 2 jobs',
  ],
  ['all rows, server, verified / pg_repack', 'keep all: ebb rebuild, server, verified', 'keep all: pg_repack'],
  [
    'all rows, server, verified / pg_repack and vacuum',
    'keep all: ebb rebuild, server, verified',
    'keep all: pg_repack, and vacuum',
  ],
  [
    'all rows, copy, not verified / pg_repack',
    'keep all: ebb rebuild, copy, verified',
    'keep all: pg_repack',
    'unverified',
  ],
  ['all rows, copy, verified / pg_repack', 'keep all: ebb rebuild, copy, verified', 'keep all: pg_repack'],
  ['10 %, verified / delete and vacuum full', 'keep 10 %: ebb rebuild, verified', 'keep 10 %: delete and vacuum full'],
  ['10 %, verified / delete and pg_repack', 'keep 10 %: ebb rebuild, verified', 'keep 10 %: delete and pg_repack'],
  [
    '10 %, verified / bare create table as',
    'keep 10 %: ebb rebuild, verified',
    'keep 10 %: create table as, and indexes',
  ],
]

/** Medians, and their ratios within each round; of the time and of the WAL. */
function report(results) {
  console.log(`\n| ${rows.toLocaleString('en-US')} rows | s | MB WAL |\n| --- | --- | --- |`)
  for (const [name] of CONTESTANTS)
    console.log(
      `| ${name} | ${median(results.map((result) => result[name].seconds)).toFixed(2)} | ${median(results.map((result) => result[name].wal)).toFixed(0)} |`,
    )
  if (retiring.length > 0) console.log(`| later: ebb retire | ${median(retiring).toFixed(2)} | |`)
  console.log('\n| compared | time | WAL |\n| --- | --- | --- |')
  for (const [what, ours, theirs, time = 'seconds', theirTime = 'seconds'] of COMPARISONS) {
    if (results[0][ours] === undefined || results[0][theirs] === undefined) continue
    const ratio = (of, by) => median(results.map((result) => result[ours][of] / result[theirs][by]))
    console.log(`| ${what} | ${ratio(time, theirTime).toFixed(2)} | ${ratio('wal', 'wal').toFixed(2)} |`)
  }
}

/** How an application feels it: with the tool idle, and at work. */
async function reportLatency() {
  if (program('pgbench') === null) return
  await fresh()
  const feel = async (work) => {
    const { latencies } = await ground.underLoad(WRITERS, work)
    await letGo()
    return latencies
  }
  const felt = {
    idle: await feel(() => sleep(10_000)),
    'rebuild, server': await feel(() => ebb({ transport: 'server' })),
    'rebuild, server, 1 job': await feel(() => ebb({ transport: 'server', jobs: 1 })),
    'rebuild, copy': await feel(() => ebb({ transport: 'copy' })),
    'rebuild, copy, 2 jobs': await feel(() => ebb({ transport: 'copy', jobs: 2 })),
  }
  console.log('\n| latency of writers, ms | p50 | p99 | longest |\n| --- | --- | --- | --- |')
  for (const [name, latencies] of Object.entries(felt))
    console.log(`| ${name} | ${[0.5, 0.99, 1].map((part) => quantile(latencies, part).toFixed(1)).join(' | ')} |`)
}

const WRITERS = `
\\set id random(1, ${rows})
insert into t (created_at, kind, payload) values (now(), 'live', '{"n": 1}');
update t set kind = 'changed' where id = :id;
`

await onOwnServer(async (its) => {
  ground = its
  client = its.client
  await fill()
  const results = []
  const busy = [await busyShare()]
  for (let round = 1; round <= rounds; round++) {
    results.push(await runRound(round))
    busy.push(await busyShare())
  }
  const names = Object.keys(results[0] ?? {})
  const secondsOf = (name) => results.map((result) => result[name].seconds)
  if (!mayTell(busy, Object.fromEntries(names.map((name) => [name, secondsOf(name)])))) return
  if (rounds > 0) report(results)
  if (only === null) await reportLatency()
})
