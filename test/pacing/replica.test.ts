import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { EmbeddedServer } from '../../src/embedded/server.ts'
import { test, type OwnServer } from '../support/database.ts'
import { startStandby } from '../support/standby.ts'
import { until } from '../support/until.ts'
import { administrator, pacedRun, waitsFor, type PacedRun } from './support.ts'

// A streaming replica that stops and starts to replay: the run follows it.

const MB = 1e6

describe('a replica that falls behind', () => {
  test('is waited for, and the run continues once it has caught up', async ({ ownServer, judgeTimes }) => {
    const own = await ownServer()
    const standby = await replicaOf(own)
    const run = await pacedRun(own.database, { maxReplicaLagBytes: 8 * MB }, { target: own.database.adminUrl })
    await filler(run)

    const work = { stop: false, written: 0 }
    const working = writeUntil(run, work)
    working.catch(() => {})
    await until(() => work.written > 40 * MB)

    await standby.query('select pg_wal_replay_pause()')
    const written = await stillness(work, 1_500)
    await waitsFor(run, /^replica standby_\d+ is [\d.]+ MB \(limit 8\.0 MB\) behind/)

    await standby.query('select pg_wal_replay_resume()')
    await until(() => work.written > written + 20 * MB)
    work.stop = true
    await working
    const { maxReplicaLagBytes, pausedMsBy } = run.pace.summary()
    expect(pausedMsBy['replica lag']).toBeGreaterThan(1_400)
    expect(maxReplicaLagBytes).toBeGreaterThan(7 * MB)
    await judgeTimes(() => expect(maxReplicaLagBytes).toBeLessThan(12 * MB))
  })

  test('that replays slowly determines the pace, and its lag stays below the limit', async ({
    ownServer,
    judgeTimes,
  }) => {
    const own = await ownServer()
    const standby = await replicaOf(own)
    const run = await pacedRun(own.database, { maxReplicaLagBytes: 24 * MB }, { target: own.database.adminUrl })
    await filler(run)

    const slow = { stop: false }
    const slowing = slowDown(standby, slow)
    const work = { stop: false, written: 0 }
    const working = writeUntil(run, work)
    working.catch(() => {})
    await sleep(12_000)
    const slowly = work.written / 12
    slow.stop = true
    await slowing
    await sleep(2_000)
    const before = work.written
    await sleep(4_000)
    const quickly = (work.written - before) / 4
    work.stop = true
    await working

    const { maxReplicaLagBytes } = run.pace.summary()
    console.log(
      `slow replica: ${(slowly / MB).toFixed(1)} MB/s, well: ${(quickly / MB).toFixed(1)} MB/s, greatest lag ${(maxReplicaLagBytes! / MB).toFixed(1)} MB`,
    )
    expect(run.reasons().some((reason) => /^slower, because replica standby_\d+ is/.test(reason))).toBe(true)
    await judgeTimes(() => {
      // What a replica says of itself may be a moment old, so a batch more than that is seen now and then.
      expect(maxReplicaLagBytes).toBeLessThan(24 * MB * 1.1)
      expect(quickly).toBeGreaterThan(slowly * 1.5)
    })
  })

  test('is seen by its slot if the role may not see its replay', async ({ ownServer, skip }) => {
    if (process.env.EBB_TEST_ROLE === 'superuser') skip('a superuser sees its replay')
    const own = await ownServer()
    const standby = await replicaOf(own)
    await standby.query('select pg_wal_replay_pause()')
    const run = await pacedRun(own.database, { maxReplicaLagBytes: 1 * MB })
    expect(run.notes().join()).toMatch(
      /replica lag: without pg_read_all_stats .* what they have received is used instead/,
    )
    await filler(run)
    // Received it has everything, so this role sees nothing to wait for.
    await write(run, 4 * MB)
    await sleep(1_500)
    await run.pace.turn(null)
    expect(run.reasons()).toEqual([])
    expect(run.pace.summary().maxReplicaLagBytes).not.toBeNull()
  })
})

async function replicaOf({ server, database }: OwnServer) {
  const standby: EmbeddedServer = await startStandby(server)
  await until(async () => {
    const { rows } = await database.admin<{ state: string }>('select state from pg_stat_replication')
    return rows[0]?.state === 'streaming'
  })
  return administrator(standby.url)
}

async function filler({ worker }: PacedRun): Promise<void> {
  await worker.query('create table public.filler (x text)')
}

/** Comes back when nothing has been written for so long, with what had been. */
async function stillness(work: { readonly written: number }, forMs: number): Promise<number> {
  let [written, since] = [work.written, performance.now()]
  await until(() => {
    if (work.written !== written) [written, since] = [work.written, performance.now()]
    return performance.now() - since > forMs
  })
  return written
}

/** Writes about so much WAL, as one batch. */
async function write({ worker }: PacedRun, bytes: number): Promise<void> {
  await worker.query(
    `insert into public.filler select repeat('x', 900) from generate_series(1, ${Math.round(bytes / 1000)})`,
  )
}

/** Batches of 1 MB, each in its turn. */
async function writeUntil(run: PacedRun, work: { stop: boolean; written: number }): Promise<void> {
  let last = null
  while (!work.stop) {
    await run.pace.turn(last)
    const began = performance.now()
    await write(run, MB)
    last = { rows: 1000, milliseconds: performance.now() - began }
    work.written += MB
  }
}

/** Lets the replica replay for a small part of the time only. */
async function slowDown(standby: Awaited<ReturnType<typeof administrator>>, slow: { stop: boolean }): Promise<void> {
  while (!slow.stop) {
    await standby.query('select pg_wal_replay_pause()')
    await sleep(240)
    await standby.query('select pg_wal_replay_resume()')
    await sleep(10)
  }
}
