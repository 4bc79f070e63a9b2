// Measures how writers feel a rebuild where the disk is the bottleneck, with and without somebody else who writes to it:
//
//   npm run bench:slow-disk                        1,000,000 rows, 40 MB/s
//   npm run bench:slow-disk -- 500000 20           another number of rows, another disk
//   npm run bench:slow-disk -- 500000 20 'server'  only contestants that are called so
//
// What the disk can do is limited on purpose (bench/slow-disk.js), so the figures hardly depend on the machine.

import { Buffer } from 'node:buffer'
import { constants } from 'node:fs'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onOwnServer, quantile } from './bench/ground.js'
import { ebb } from './bench/process.js'
import { onSlowDisk } from './bench/slow-disk.js'

const [rows = 1_000_000, megabytes = 40] = process.argv.slice(2, 4).map(Number)
const only = process.argv[4] ?? ''

/** Small enough that checkpoints come in the midst of it, as they do in ordinary operation. */
const SETTINGS = {
  shared_buffers: '512MB',
  max_wal_size: '1GB',
  min_wal_size: '1GB',
  maintenance_work_mem: '128MB',
  checkpoint_timeout: '5min',
}
const IDLE_MS = 15_000
/** Of the disk, what somebody else writes. */
const OTHERS_SHARE = 0.5
/** It writes them again and again. */
const OTHERS_MEGABYTES = 64

const WRITERS = `
\\set id random(1, ${rows})
insert into t (created_at, kind, payload) values (now(), 'live', '{"n": 1}');
update t set kind = 'changed' where id = :id;
`

let ground
let client
let disk

/** A server that has been at work for a while writes to files of WAL that are there. */
async function warm() {
  await client.query('create table ballast (filler text); alter table ballast alter filler set storage plain')
  for (let round = 0; round < 3; round++) {
    await client.query(`insert into ballast select repeat('x', 1000) from generate_series(1, 400000)`)
    await client.query('truncate ballast')
    await client.query('checkpoint')
  }
  await client.query('drop table ballast')
  await writeFile(join(disk.folder, 'other'), Buffer.alloc(OTHERS_MEGABYTES * 1e6), { flush: true })
}

async function fresh() {
  disk.limit(null)
  await client.query('drop table if exists t, t_retired cascade')
  await client.query(`
    create table t (id bigint generated always as identity primary key, created_at timestamptz not null, kind text not null, payload jsonb not null);
    insert into t (created_at, kind, payload)
      select timestamptz '2025-01-01' + n * interval '7 s', 'kind' || n % 20,
        jsonb_build_object('n', n, 'user', md5(n::text), 'path', '/a/b/' || n % 1000, 'note', repeat('x', 20))
      from generate_series(1, ${rows}) n;
    create index on t (created_at)`)
  await client.query('vacuum (analyze) t')
  await client.query('checkpoint')
  disk.limit(megabytes * 1e6)
}

/**
 * Writes a megabyte at a time, and waits for the disk each time, for its share of what the disk can do. Returns how
 * many megabytes a second that was.
 */
async function somebodyElse(signal) {
  const megabyte = Buffer.alloc(1e6)
  const file = await open(join(disk.folder, 'other'), constants.O_WRONLY | constants.O_DSYNC)
  const began = performance.now()
  let written = 0
  while (!signal.aborted) {
    await file.write(megabyte, 0, megabyte.length, (written++ % OTHERS_MEGABYTES) * 1e6)
    const due = (written * 1000) / (megabytes * OTHERS_SHARE)
    await sleep(Math.max(0, due - (performance.now() - began)))
  }
  await file.close()
  return written / ((performance.now() - began) / 1000)
}

async function feel(name, work, beside) {
  await fresh()
  const over = new AbortController()
  const other = beside ? somebodyElse(over.signal) : null
  const spans = []
  const { felt, result } = await ground.underLoad(WRITERS, () => work(spans))
  over.abort()
  const theirs = (await other) ?? null
  tell(beside ? `${name}, beside another writer` : name, felt, result, theirs)
  for (const { key, from, to } of spans) {
    const inside = felt.filter(({ at, ms }) => at - ms < to && at > from)
    if (to - from > 300) tell(`  ${key}`, inside, (to - from) / 1000, null)
  }
}

function tell(name, felt, seconds, theirs) {
  const sorted = felt.map(({ ms }) => ms).sort((a, b) => a - b)
  const figures = [0.5, 0.99, 1].map((part) => quantile(sorted, part).toFixed(1))
  console.log(`| ${[name, seconds?.toFixed(1) ?? '', ...figures, theirs?.toFixed(1) ?? ''].join(' | ')} |`)
}

const idle = async () => {
  await sleep(IDLE_MS)
  return IDLE_MS / 1000
}

/** Notes when each step began and ended. */
const carriedOut =
  (...words) =>
  async (spans) => {
    const began = Date.now()
    await ebb(ground.url, words, (line) => {
      if (line.type === 'step started') spans.push({ key: line.step.key, from: Date.now(), to: Infinity })
      if (line.type === 'step finished') spans.findLast(({ key }) => key === line.step.key).to = Date.now()
    })
    return (Date.now() - began) / 1000
  }

const rebuild = (transport) =>
  carriedOut('rebuild', 'public.t', '--keep-all', '--no-archive', '--transport', transport, '--jobs', '1')

const CONTESTANTS = [
  ['idle', idle],
  ['rebuild, server', rebuild('server')],
  ['rebuild, copy', rebuild('copy')],
  ['purge of a third', carriedOut('purge', 'public.t', '--where', 'id % 3 = 0', '--no-archive')],
]

await onSlowDisk((its) => {
  disk = its
  return onOwnServer(
    async (server) => {
      ground = server
      client = server.client
      await warm()
      console.log(`${rows.toLocaleString('en-US')} rows, a disk of ${megabytes} MB/s`)
      console.log('| | s | p50 | p99 | longest | other writer, MB/s |\n| --- | --- | --- | --- | --- | --- |')
      for (const beside of [false, true])
        for (const [name, work] of CONTESTANTS)
          if (`${name}${beside ? ' beside' : ''}`.includes(only)) await feel(name, work, beside)
    },
    { settings: SETTINGS, dataFolder: join(disk.folder, 'data') },
  )
})
