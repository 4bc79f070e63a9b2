import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished } from 'vitest'
import { openSession } from '../../src/db/session.ts'
import { type EbbError } from '../../src/errors.ts'
import { parseWindow } from '../../src/pacing/window.ts'
import { test } from '../support/database.ts'
import { isWaiting, until } from '../support/until.ts'
import { folder, pacedRun, turning, waitsFor } from './support.ts'

// A run gives way, says why, and goes on. Everything here is measured on a real server.

const BATCH = { rows: 100, milliseconds: 10 }

describe('a healthy database', () => {
  test('costs next to nothing', async ({ database, judgeTimes }) => {
    const run = await pacedRun(database)
    await run.pace.turn(null)
    const began = performance.now()
    for (let batch = 0; batch < 500; batch++) await run.pace.turn(BATCH)
    const eachMs = (performance.now() - began) / 500

    expect(run.reasons()).toEqual([])
    expect(run.pace.summary()).toMatchObject({ turns: 501, pausedMs: 0, pausedMsBy: {} })
    await judgeTimes(() => expect(eachMs).toBeLessThan(1))
  })

  test('lets batches grow to the target time', async ({ database }) => {
    const { pace } = await pacedRun(database)
    let { rows } = await pace.turn(null)
    for (let batch = 0; batch < 30; batch++) ({ rows } = await pace.turn({ rows, milliseconds: rows / 100 }))
    expect(rows).toBeGreaterThan(4_000)
    expect(rows).toBeLessThan(6_000)
  })
})

describe('sessions waiting for our locks', () => {
  test('cause pauses as long as they wait, and are counted', async ({ database }) => {
    const run = await pacedRun(database)
    const app = await database.session('app')
    await app.query('create table stock as select 1 as id')
    await run.worker.query('begin')
    await run.worker.query('update public.stock set id = 2')
    const update = app.query('update stock set id = 3')
    await until(() => isWaiting(run.worker, 'app'))
    await until(() => run.pace.summary().waitsSeen === 1)

    const { turn, end } = turning(run)
    await waitsFor(run, /^a session waits for locks of this run \(pid \d+\)$/)
    await sleep(600)
    expect(turn.come).toBe(false)

    await run.worker.query('commit')
    await update
    await end
    const { pausedMsBy, waitsSeen, longestWaitSeenMs } = run.pace.summary()
    expect(pausedMsBy['blocked sessions']).toBeGreaterThan(500)
    expect(waitsSeen).toBe(1)
    expect(longestWaitSeenMs).toBeGreaterThan(300)
  })

  test('are ignored if they wait for each other', async ({ database }) => {
    const run = await pacedRun(database)
    const [one, other] = [await database.session('one'), await database.session('other')]
    await one.query('create table stock as select 1 as id')
    await one.query('begin')
    await one.query('update stock set id = 2')
    const update = other.query('update stock set id = 3')
    await until(() => isWaiting(run.worker, 'other'))
    await sleep(1_500)

    await run.pace.turn(BATCH)
    expect(run.reasons()).toEqual([])
    expect(run.pace.summary().waitsSeen).toBe(0)
    await one.query('commit')
    await update
  })
})

describe('files', () => {
  test('a pause file pauses the run, and its removal resumes it', async ({ database }) => {
    const pauseFile = join(await folder(), 'pause')
    const run = await pacedRun(database, { pauseFile })
    await run.pace.turn(BATCH)
    await writeFile(pauseFile, '')
    const { turn, end } = turning(run)
    await waitsFor(run, /^the pause file .* exists$/)
    await sleep(300)
    expect(turn.come).toBe(false)
    await rm(pauseFile)
    await end
    expect(run.pace.summary().pausedMsBy['pause file']).toBeGreaterThan(200)
  })

  test('a pause of several workers is counted once', async ({ database }) => {
    const pauseFile = join(await folder(), 'pause')
    const run = await pacedRun(database, { pauseFile })
    await writeFile(pauseFile, '')
    const began = performance.now()
    const ends = [1, 2, 3].map(() => turning(run).end)
    await until(() => run.pace.summary().pausedMs > 500)
    await rm(pauseFile)
    await Promise.all(ends)
    expect(run.pace.summary().pausedMs).toBeLessThanOrEqual(performance.now() - began)
  })

  test('a stop file ends it before the next batch, also during a pause', async ({ database }) => {
    const place = await folder()
    const [pauseFile, stopFile] = [join(place, 'pause'), join(place, 'stop')]
    const run = await pacedRun(database, { pauseFile, stopFile })
    await writeFile(pauseFile, '')
    const { end } = turning(run)
    await waitsFor(run, /pause file/)
    await writeFile(stopFile, '')

    const error = (await end.catch((error: unknown) => error)) as EbbError
    expect(error.message).toBe(`stopped by the stop file ${stopFile}`)
    expect(error.kind).toBe('stopped')
    await rm(pauseFile)
    await expect(run.pace.turn(BATCH)).rejects.toThrow('stop file')
  })

  test('an abort ends a pause at once', async ({ database, judgeTimes }) => {
    let waitedMs = 0
    for (let round = 0; round < 6; round++) {
      const abort = new AbortController()
      const run = await pacedRun(database, { pauseMs: 60_000 }, { signal: abort.signal })
      const { end } = turning(run)
      await waitsFor(run, /between batches/)
      const began = performance.now()
      abort.abort()
      await expect(end).rejects.toMatchObject({ kind: 'stopped' })
      waitedMs += performance.now() - began
    }
    await judgeTimes(() => expect(waitedMs).toBeLessThan(150))
  })

  test('a pace file changes the pace; an invalid one changes nothing', async ({ database }) => {
    const paceFile = join(await folder(), 'pace.json')
    const run = await pacedRun(database, {}, { paceFile })
    await run.pace.turn(BATCH)
    expect(run.pace.summary().pausedMs).toBe(0)

    await writeFile(paceFile, '{"pause-ms": 40}')
    await run.pace.turn(BATCH)
    expect(run.pace.summary().pausedMsBy['fixed pause']).toBeGreaterThan(25)

    await writeFile(paceFile, '{"pause-ms": 0, "max-blockd": 3}')
    await run.pace.turn(BATCH)
    await run.pace.turn(BATCH)
    expect(run.notes().filter((note) => note.includes("'max-blockd' is not a pacing setting"))).toHaveLength(1)
    expect(run.pace.summary().pausedMsBy['fixed pause']).toBeGreaterThan(75)

    await rm(paceFile)
    const before = run.pace.summary().pausedMs
    await run.pace.turn(BATCH)
    expect(run.pace.summary().pausedMs).toBe(before)
  })
})

describe('checks by the user', () => {
  test('a query pauses the run while it is not true', async ({ database }) => {
    const app = await database.session('app')
    await app.query('create table public.traffic as select true as well')
    const run = await pacedRun(database, { healthSql: 'select well from traffic' })
    await run.pace.turn(BATCH)

    await app.query('update traffic set well = false')
    await until(async () => {
      await Promise.race([run.pace.turn(BATCH), waitsFor(run, /health query/)])
      return run.reasons().length > 0
    })
    expect(run.reasons()[0]).toBe('the health query returned false, not true')
    await app.query('update traffic set well = true')
    await run.pace.turn(BATCH)
  })

  test.for([
    ['delete from traffic returning true', /cannot execute DELETE in a read-only transaction/],
    ['commit; delete from traffic returning true', /cannot insert multiple commands/],
    ['select pg_sleep(60) is null', /statement timeout/],
    ['select true from nowhere', /relation "nowhere" does not exist/],
    ['select true where false', /returned no row/],
    ["select 'yes'", /returned "yes"/],
  ] as const)('%s has no side effects', async ([healthSql, reason], { database }) => {
    const app = await database.session('app')
    await app.query('create table public.traffic as select true as well')
    const run = await pacedRun(database, { healthSql })
    const { end } = turning(run)
    await waitsFor(run, reason)
    expect((await app.query('select from traffic')).rowCount).toBe(1)
    await run.pace.close()
    await expect(end).rejects.toThrow('after close')
  })

  test('a URL pauses the run unless it answers 2xx, and its credentials are not shown', async ({ database }) => {
    let status = 503
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`)
      response.writeHead(status).end()
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo

    const run = await pacedRun(database, { healthUrl: `http://ebb:s3cret@127.0.0.1:${port}/well?token=t0ken` })
    const { end } = turning(run)
    await waitsFor(run, /^the health check at 127\.0\.0\.1:\d+ answers 503$/)
    status = 204
    await end

    expect(asked[0]).toBe(`/well?token=t0ken Basic ${Buffer.from('ebb:s3cret').toString('base64')}`)
    expect(JSON.stringify(run.events, (_, value: unknown) => (typeof value === 'bigint' ? '' : value))).not.toMatch(
      /s3cret|t0ken/,
    )
  })
})

describe('times of the day', () => {
  test('outside of its window it waits, by the server’s clock', async ({ database }) => {
    const app = await database.session('app')
    const { rows } = await app.query<{ window: string }>(
      `select to_char(now() at time zone 'UTC' + interval '2 hours', 'HH24:MI-') || to_char(now() at time zone 'UTC' + interval '3 hours', 'HH24:MI') as window`,
    )
    const paceFile = join(await folder(), 'pace.json')
    const run = await pacedRun(database, { windows: [parseWindow(rows[0]!.window)] }, { paceFile })
    const { end } = turning(run)
    await waitsFor(run, /^outside of \d\d:\d\d-\d\d:\d\d UTC$/)
    await writeFile(paceFile, '{"window": null}')
    await end
  })
})

describe('several runs in one journal', () => {
  test('two share the limit of one, and the remaining one gets all of it', async ({ database, judgeTimes }) => {
    const one = await pacedRun(database)
    const alone = await dutyOf(one, 1_000)

    const other = await pacedRun(database)
    await until(async () => {
      await Promise.all([one.pace.turn(BATCH), other.pace.turn(BATCH)])
      return one.reasons().length > 0 && other.reasons().length > 0
    })
    const duties = await Promise.all([dutyOf(one, 2_000), dutyOf(other, 2_000)])
    expect(one.reasons()).toEqual(['the pace is shared with another run'])

    await other.pace.close()
    await until(async () => (await dutyOf(one, 300)) > 0.75)
    await judgeTimes(() => {
      expect(alone).toBeGreaterThan(0.75)
      expect(duties[0] + duties[1]).toBeGreaterThan(0.8)
      expect(duties[0] + duties[1]).toBeLessThan(1.2)
    })
  })

  test('one that waits leaves its share to the other', async ({ database, judgeTimes }) => {
    const pauseFile = join(await folder(), 'pause')
    await writeFile(pauseFile, '')
    const waiting = await pacedRun(database, { pauseFile })
    const { end } = turning(waiting)
    await waitsFor(waiting, /pause file/)
    await sleep(1_000)

    const working = await pacedRun(database)
    const duty = await dutyOf(working, 500)
    await rm(pauseFile)
    await end
    await judgeTimes(() => expect(duty).toBeGreaterThan(0.75))
  })

  test('one that has died does not count, nor one without heartbeat after some seconds', async ({ database }) => {
    const run = await pacedRun(database)
    await run.worker.query(`insert into ebb.pace values ('ebb dead', false, now())`)
    await dutyOf(run, 4_000)
    expect(run.reasons()).toEqual([])
    const silent = await openSession(database.url, 'silent')
    onTestFinished(() => silent.end())
    await run.worker.query(`insert into ebb.pace values ('ebb silent', false, now() + interval '1 hour')`)
    await until(async () => (await dutyOf(run, 300)) < 0.65)
    await run.worker.query(`update ebb.pace set beat_at = now() - interval '10 seconds' where holder = 'ebb silent'`)
    await until(async () => (await dutyOf(run, 300)) > 0.75)
  })
})

/** The share of the time that is spent on batches. */
async function dutyOf(run: { pace: { turn(last: typeof BATCH): Promise<unknown> } }, forMs: number): Promise<number> {
  const began = performance.now()
  let worked = 0
  while (performance.now() - began < forMs) {
    const batchBegan = performance.now()
    await sleep(BATCH.milliseconds)
    worked += performance.now() - batchBegan
    await run.pace.turn(BATCH) // whatever it took: slow batches are another reason to rest
  }
  return worked / (performance.now() - began)
}

describe('commits that are slow', () => {
  test('slow a run down while others are at work', async ({ database }) => {
    const app = await database.session('app')
    const query = app.query('select pg_sleep(60)').catch(() => {})
    const run = await pacedRun(database)

    let { rows } = await run.pace.turn(null)
    for (const commitMs of [1, 1, 1, 1, 40]) {
      await sleep(45)
      rows = (await run.pace.turn({ rows, milliseconds: 45, commitMs })).rows
    }
    expect(run.pace.summary().pausedMsBy['slow commits']).toBeGreaterThan(0)
    expect(run.reasons()).toContain('slower, because a commit takes 40 ms (1.0 ms at best)')

    await run.worker.query(`select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'app'`)
    await query
  })
})
