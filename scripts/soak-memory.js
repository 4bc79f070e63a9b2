// Memory of the client, which must not depend on what is in the table: rows as wide as PostgreSQL can send, and many
// of them, in both directions of COPY. Fails where a command needs more than is promised.
//
//   npm run soak:memory                 3 rows of 200 MB, and 2,000,000 narrow ones
//   npm run soak:memory -- 50 100000    of 50 MB, and fewer
//
// EBB_BENCH_PG names a folder with PostgreSQL's programs, as for the benchmarks.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onOwnServer } from './bench/ground.js'
import { ebb } from './bench/process.js'

const [megabytes = 200, rows = 2_000_000] = process.argv.slice(2).map(Number)
const MOST_MB = 150
const MOST_PARQUET_MB = 512
const tooMuch = []
let ground

/** Compressed by a factor, so that the disk has room: what is sent is as wide as said. */
const WIDE = `select n, n, decode(repeat(md5(n::text), ${megabytes * 62_500}), 'hex') from generate_series(1, 3) n`
const NARROW = `select n, n, md5(n::text)::bytea from generate_series(1, ${rows}) n`

async function fill(content) {
  await ground.client.query('drop table if exists t, t_retired, again')
  await ground.client.query('create table t (id int primary key, n int not null, content bytea)')
  await ground.client.query(`insert into t ${content}`)
  await ground.client.query('vacuum (analyze) t')
}

async function peak(name, most, ...words) {
  const { peakMb } = await ebb(ground.url, words)
  const verdict = peakMb > most ? `, more than ${most}` : ''
  console.log(`${name.padEnd(42)} ${peakMb} MB${verdict}`)
  if (peakMb > most) tooMuch.push(name)
}

async function commands(what) {
  const folder = mkdtempSync(join(tmpdir(), 'ebb-soak-'))
  try {
    await peak(`${what}: archive`, MOST_MB, 'archive', 'public.t', '--archive', folder)
    const receipt = readdirSync(folder, { recursive: true }).find((name) => name.endsWith('receipt.json'))
    await peak(`${what}: restore`, MOST_MB, 'restore', join(folder, receipt), '--into', 'public.again')
    await peak(`${what}: rebuild by COPY`, MOST_MB, 'rebuild', 'public.t', '--keep-all', '--transport', 'copy')
    await peak(`${what}: retire`, MOST_MB, 'retire', '--all')
    await peak(`${what}: purge with an archive`, MOST_MB, 'purge', 'public.t', '--where', 'n > 1', '--archive', folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

await onOwnServer(async (server) => {
  ground = server
  await fill(WIDE)
  await commands(`rows of ${megabytes} MB`)
  await fill(NARROW)
  await commands(`${rows.toLocaleString('en-US')} rows`)
  const folder = mkdtempSync(join(tmpdir(), 'ebb-soak-'))
  await peak('Parquet', MOST_PARQUET_MB, 'archive', 'public.t', '--archive', folder, '--archive-format', 'parquet')
  rmSync(folder, { recursive: true })
})
if (tooMuch.length > 0) {
  console.error(`needed more memory than promised: ${tooMuch.join('; ')}`)
  process.exitCode = 1
}
