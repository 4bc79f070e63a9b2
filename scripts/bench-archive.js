// Measures `ebb archive` beside what a user would do instead, on one server, in one run:
//
//   npm run bench:archive               5,000,000 rows, about 1 GB as CSV, 3 rounds
//   npm run bench:archive -- 200000 1   fewer
//
// Contestants take turns within a round, and what is reported is the median of each one's ratios within its round, so that a
// slow minute slows all alike. Objects are read back while further ones are written. When all are written is told by the progress of the
// command, if reading the rest takes more than half a second: so "without verification" has the verification of the others in it.

import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import zlib from 'node:zlib'
import { median, onOwnServer, program } from './bench/ground.js'
import { ebb as runEbb, ended } from './bench/process.js'

const [rows = 5_000_000, rounds = 3] = process.argv.slice(2).map(Number)
const HAS_ZSTD = 'createZstdCompress' in zlib
const HAS_DUCKDB = await import('@duckdb/node-api').then(
  () => true,
  () => false,
)
let ground
let folder

const CONTESTANTS = [
  ['psql -c copy | gzip -1', () => piped('gzip', '-1')],
  ['ebb archive, gzip', () => ebbArchive('--compression', 'gzip')],
  ...(HAS_ZSTD
    ? [
        ['psql -c copy | zstd -3', () => piped('zstd', '-3', '-q')],
        ['ebb archive, zstd', () => ebbArchive('--compression', 'zstd')],
      ]
    : []),
  ...(HAS_DUCKDB
    ? [
        ['DuckDB: copy from CSV to Parquet', duckdbParquet],
        ['ebb archive, Parquet', () => ebbArchive('--archive-format', 'parquet')],
      ]
    : []),
  ['ebb purge of a tenth, without an archive', () => ebbPurge('--no-archive')],
  ['ebb purge of a tenth, with an archive', () => ebbPurge('--archive', folder)],
]

/** Each with what it is to be compared with, and the ratio of speeds that it is to reach. */
const TARGETS = [
  ['ebb archive, gzip', 'psql -c copy | gzip -1', 'unverified', 1],
  ['ebb archive, gzip', 'psql -c copy | gzip -1', 'seconds', 1 / 1.5],
  ['ebb archive, zstd', 'psql -c copy | zstd -3', 'unverified', 1],
  ['ebb archive, zstd', 'psql -c copy | zstd -3', 'seconds', 1 / 1.5],
  ['ebb archive, Parquet', 'DuckDB: copy from CSV to Parquet', 'seconds', 0.5],
  ['ebb purge of a tenth, with an archive', 'ebb purge of a tenth, without an archive', 'seconds', 0.5],
]

async function fill() {
  console.log(`filling ${rows.toLocaleString('en-US')} rows`)
  await ground.client.query(`
    create table source (id bigint generated always as identity primary key, created_at timestamptz not null, kind text not null,
      amount numeric(12,2) not null, token uuid not null, payload jsonb not null);
    insert into source (created_at, kind, amount, token, payload)
      select timestamptz '2025-01-01' + n * interval '7 s', 'kind' || n % 20, n % 100000 / 100.0, md5(n::text)::uuid,
        jsonb_build_object('n', n, 'user', md5(n::text), 'path', '/a/b/' || n % 1000, 'note', repeat('x', 20))
      from generate_series(1, ${rows}) n`)
  await ground.client.query('vacuum (analyze) source')
}

async function runRound(round) {
  const result = {}
  // Whoever comes first has colder caches: the next round goes the other way.
  for (const [name, contestant] of round % 2 === 1 ? CONTESTANTS : CONTESTANTS.toReversed()) {
    if (name.includes('purge')) await fresh()
    folder = mkdtempSync(join(tmpdir(), 'ebb-bench-'))
    const { seconds, result: more } = await ground.measure(contestant)
    const stored = sizeOf(folder)
    rmSync(folder, { recursive: true })
    result[name] = { seconds, unverified: more?.unverified ?? seconds }
    const told =
      more === undefined ? '' : `, ${more.unverified.toFixed(2)} s before verification, client ${more.peakMb} MB`
    console.log(
      `round ${round}: ${name.padEnd(42)} ${seconds.toFixed(2)} s, ${(stored / 1e6).toFixed(0)} MB stored${told}`,
    )
  }
  return result
}

/** The same table anew for every purge. */
async function fresh() {
  await ground.client.query('drop table if exists t; create table t (like source including all)')
  await ground.client.query('insert into t overriding system value select * from source order by id')
  await ground.client.query('vacuum (analyze) t')
  await ground.client.query('checkpoint')
}

function piped(compressor, ...words) {
  const out = spawn(program('psql') ?? 'psql', ['-X', '-c', 'copy source to stdout (format csv, header)', ground.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const into = spawn('sh', ['-c', `${[compressor, ...words].join(' ')} > "$0"`, join(folder, 'source.csv')], {
    stdio: [out.stdout, 'ignore', 'inherit'],
  })
  return ended(into)
}

/** From the CSV that PostgreSQL writes; writing that is not measured. */
async function duckdbParquet() {
  const csv = join(folder, 'source.csv')
  const psql = spawn('sh', [
    '-c',
    `"$0" -X -c 'copy source to stdout (format csv, header)' "$1" > "$2"`,
    program('psql') ?? 'psql',
    ground.url,
    csv,
  ])
  await ended(psql)
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  const began = performance.now()
  await connection.run(
    `copy (select * from read_csv('${csv}')) to '${join(folder, 'source.parquet')}' (format parquet)`,
  )
  const unverified = (performance.now() - began) / 1000
  connection.closeSync()
  rmSync(csv)
  return { unverified, peakMb: 0 }
}

function ebbArchive(...words) {
  return ebb('archive', 'public.source', '--archive', folder, ...words)
}

function ebbPurge(...words) {
  return ebb('purge', 'public.t', '--where', `id <= ${Math.floor(rows / 10)}`, '--no-vacuum', ...words)
}

async function ebb(...words) {
  const began = performance.now()
  let verifying = null
  const { peakMb } = await runEbb(ground.url, words, ({ type, progress }) => {
    if (type === 'progress' && progress.what === 'read the archive back') verifying ??= performance.now()
  })
  return { unverified: ((verifying ?? performance.now()) - began) / 1000, peakMb }
}

function sizeOf(path) {
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
}

await onOwnServer(async (server) => {
  ground = server
  await fill()
  const results = []
  for (let round = 1; round <= rounds; round++) results.push(await runRound(round))
  console.log()
  for (const [name, other, figure, target] of TARGETS) {
    const pairs = results.filter((result) => name in result && other in result)
    if (pairs.length === 0) continue
    const ratio = median(pairs.map((result) => result[other].unverified / result[name][figure]))
    const verified = figure === 'seconds' ? 'all of it' : 'without verification'
    console.log(`${name}, ${verified}: ${ratio.toFixed(2)} times as fast as ${other} (to be ${target.toFixed(2)})`)
  }
})
