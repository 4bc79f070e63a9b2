import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test as plain } from 'vitest'
import { WalWindow } from '../../src/pacing/wal-window.ts'
import { test } from '../support/database.ts'
import { pacedRun, type PacedRun } from './support.ts'

// A limit on WAL holds over any few seconds, however short the rests between bursts are.

const MB = 1e6
const SECOND = 1_000_000n

describe('the last ten seconds', () => {
  plain('begin with the first mark while there are fewer', () => {
    const window = new WalWindow()
    expect(window.lately()).toBeNull()
    window.add({ at: 5n * SECOND, walPosition: 100 })
    expect(window.lately()).toBeNull()
    window.add({ at: 7n * SECOND, walPosition: 400 })
    expect(window.lately()).toEqual({ bytes: 300, seconds: 2 })
  })

  plain('still hold a burst after a rest, and forget it in the end', () => {
    const window = new WalWindow()
    window.add({ at: 0n, walPosition: 0 })
    window.add({ at: SECOND, walPosition: 60 * MB })
    for (const second of [2n, 6n, 10n]) window.add({ at: second * SECOND, walPosition: 60 * MB })
    expect(window.lately()).toEqual({ bytes: 60 * MB, seconds: 10 })
    window.add({ at: 12n * SECOND, walPosition: 61 * MB })
    expect(window.lately()).toEqual({ bytes: 1 * MB, seconds: 10 })
  })

  plain('do without marks where the server does not tell its WAL, or the clock stands', () => {
    const window = new WalWindow()
    window.add({ at: SECOND, walPosition: 1 })
    window.add({ at: SECOND, walPosition: 2 })
    window.add({ at: 2n * SECOND, walPosition: null })
    expect(window.lately()).toBeNull()
  })
})

describe('a limit on WAL', () => {
  test('holds on average at any time, and is fully used', async ({ ownServer, judgeTimes }) => {
    const own = await ownServer()
    // The limit holds from the first reading on, which may be a while before the first batch.
    const opened = performance.now()
    const run = await pacedRun(own.database, { maxWalBytesPerSecond: 4 * MB }, { target: own.database.adminUrl })
    await run.worker.query('create table public.filler (x text)')
    const [began, from] = [performance.now(), await walEnd(run)]
    const averages: number[] = []
    let used = 0
    let last = null
    for (let seconds = 0; seconds < 6; seconds = (performance.now() - began) / 1000) {
      const { rows } = await run.pace.turn(last)
      const batchBegan = performance.now()
      await run.worker.query(`insert into public.filler select repeat('x', 900) from generate_series(1, ${rows})`)
      last = { rows, milliseconds: performance.now() - batchBegan }
      const [bytes, now] = [(await walEnd(run)) - from, performance.now()]
      if (seconds > 1) averages.push(bytes / ((now - opened) / 1000))
      used = bytes / ((now - began) / 1000)
      await sleep(0)
    }
    expect(Math.max(...averages)).toBeLessThan(4.1 * MB)
    // However often it comes up, it is told once in a while.
    expect(run.reasons().length).toBeLessThan(4)
    await judgeTimes(() => {
      expect(used).toBeGreaterThan(2.8 * MB)
      expect(run.pace.summary().pausedMsBy['WAL rate']).toBeGreaterThan(500)
    })
  })
})

async function walEnd({ worker }: PacedRun): Promise<number> {
  const { rows } = await worker.query<{ bytes: number }>(
    `select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as bytes`,
  )
  return rows[0]!.bytes
}
