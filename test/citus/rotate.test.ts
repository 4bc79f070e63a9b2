import { describe, expect, inject } from 'vitest'
import { withSession } from '../../src/db/session.ts'
import { planRotations, rotate } from '../../src/engine/commands/rotate.ts'
import { LOCK_LIMITS, underShortLocks, type ShortLocks } from '../../src/engine/locks/short-locks.ts'
import { citusTest as test, type Cluster } from '../support/citus.ts'
import { Machine } from '../support/machine.ts'
import { quietly } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { asked, events, isWaitingFor, rotateEvents, readOnAllNodes } from './rotating.ts'

// On a real Citus: EBB_TEST_CITUS_URL.

async function countsOf(cluster: Cluster) {
  const [row] = await cluster.admin<{ rows: string; partitions: number; shards: number }>(
    `select (select count(*) from events) as rows, (select count(*)::int from pg_inherits where inhparent = 'events'::regclass) as partitions,
       (select sum(result::int)::int from run_command_on_workers($$select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = '${cluster.schema}' and relkind = 'r' and relname ~ '^events_.*_[0-9]{6}$'$$)) as shards`,
  )
  return row!
}

describe('a distributed partitioned set', () => {
  test('gets partitions ahead, and loses expired ones on all nodes', async ({ cluster }) => {
    await events(cluster)
    const before = await countsOf(cluster)
    const [plan] = await planRotations(cluster.url, asked(cluster), quietly({ journalSchema: cluster.journalSchema }))
    expect(plan?.objections).toEqual([])
    expect(plan?.retire.map(({ rows, bytes }) => [rows === 0, bytes > 0])).toEqual([
      [false, true],
      [false, true],
      [false, true],
    ])
    expect(await countsOf(cluster)).toEqual(before)

    const report = await rotateEvents(cluster)
    expect(report.failed.map(({ error }) => error.message)).toEqual([])
    expect(report.retired.map(({ outcome }) => outcome)).toEqual(['dropped', 'dropped', 'dropped'])
    const after = await countsOf(cluster)
    expect(Number(after.rows)).toBe(400 + 399 + 398)
    expect(after.partitions).toBe(before.partitions - 3 + report.created.length)
    expect(report.created.length).toBeGreaterThan(0)
    expect(after.shards).toBe(8 * after.partitions)
    // A row for next month finds its place, on whichever node.
    await cluster.admin(`insert into events select i, now() + interval '70 days', 'x' from generate_series(1, 40) i`)
    expect((await rotateEvents(cluster)).retired).toEqual([])
  })

  test('is left alone where the clock is in doubt, or what is asked for cannot be had', async ({ cluster }) => {
    await events(cluster)
    const [since] = await cluster.admin<{ from: string }>(
      `select (date_trunc('month', now() at time zone 'UTC') - interval '3 months')::text || '+00' as from`,
    )
    await cluster.admin(`delete from events where at >= '${since?.from}'`)
    const doubtful = await rotateEvents(cluster)
    expect(doubtful.plan?.objections.map(({ code }) => code)).toEqual(['clock'])
    expect(doubtful.retired).toEqual([])
    const archive = { uri: 'file:///nowhere' } as never
    const [plan] = await planRotations(
      cluster.url,
      asked(cluster, { archive, grace: '1 week', accept: ['clock'] }),
      quietly({ journalSchema: cluster.journalSchema }),
    )
    expect(plan?.objections.map(({ code }) => code)).toEqual(['citus-grace'])
  })

  test('is rotated where the nodes are in another time zone', async ({ cluster }) => {
    await events(cluster)
    const workers = await Promise.all((await cluster.workers()).map((url) => cluster.session(url)))
    const database = new URL(cluster.url).pathname.slice(1)
    for (const worker of workers) {
      await worker.query('set citus.enable_ddl_propagation to off')
      await worker.query(`alter role current_user in database ${database} set TimeZone = 'Asia/Tokyo'`)
    }
    try {
      const report = await rotateEvents(cluster)
      expect(report.failed.map(({ error }) => error.message)).toEqual([])
      expect(report.retired).toHaveLength(3)
    } finally {
      for (const worker of workers) await worker.query(`alter role current_user in database ${database} reset TimeZone`)
    }
  })

  test('waits for a transaction on a worker by looking, and not in a queue', async ({ cluster }) => {
    await events(cluster)
    const [worker = ''] = await cluster.workers()
    const reader = await cluster.session(worker)
    await reader.query('begin')
    await reader.query(`select count(*) from ${cluster.schema}.events`)
    const options = quietly({ journalSchema: cluster.journalSchema })
    const rotating = rotate(cluster.url, asked(cluster), options)
    await until(() => isWaitingFor(options.events, /for pid \d+ on .*, idle in transaction/))
    // Nobody is held up meanwhile.
    const other = await cluster.session(worker)
    await other.query(`select count(*) from ${cluster.schema}.events`)
    await reader.query('commit')
    const { sets } = await rotating
    expect(sets[0]?.failed.map(({ error }) => error.message)).toEqual([])
    expect(sets[0]?.retired).toHaveLength(3)
  })

  test('gives up at once where a worker does not grant a lock, and tries again', async ({ cluster }) => {
    await events(cluster)
    const [worker = ''] = await cluster.workers()
    const reader = await cluster.session(worker)
    const table = cluster.table('events')
    const lock = `lock table only ${cluster.schema}.events in access exclusive mode`
    const options = quietly()
    let isHeld = false
    const lockedAfterAll = withSession(cluster.url, 'test', (session) =>
      withSession(cluster.url, 'test', async (control) => {
        const pid = (await session.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid
        const sessions = { session, control, pid, deadlockTimeoutMs: 1_000 }
        // It comes when we have looked already.
        const stillReady = async () => {
          if (isHeld) return true
          isHeld = true
          await reader.query('begin')
          await reader.query(`select count(*) from ${cluster.schema}.events`)
          return true
        }
        const locks: ShortLocks = {
          quiet: null,
          acquire: [lock],
          locks: [{ table, mode: 'ACCESS EXCLUSIVE', blocks: 'reads and writes', held: 'milliseconds' }],
          onAllNodes: true,
          stillReady,
        }
        return underShortLocks(
          sessions,
          locks,
          LOCK_LIMITS,
          (event) => options.observer({ table, runId: null, ...event }),
          options.signal,
          async () => {},
        )
      }),
    )
    await until(() => isWaitingFor(options.events, /not granted within lock_timeout/), { timeoutMs: 30_000 })
    await reader.query('commit')
    expect((await lockedAfterAll).attempts).toBeGreaterThan(1)
  })

  test('keeps no reader waiting for longer than a quarter of a second, on any node', async ({ cluster, skip }) => {
    await events(cluster)
    const machine = new Machine(cluster.url, inject('compiled'))
    const stop = new AbortController()
    const readers = await readOnAllNodes(cluster, stop.signal)
    const report = await rotateEvents(cluster)
    stop.abort()
    const longest = await Promise.all(readers)
    expect(report.retired).toHaveLength(3)
    console.log(
      `readers waited for ${longest.map(Math.round).join(', ')} ms; ${Math.round(report.longestWaitCausedMs)} as reported`,
    )
    await machine.judge(() => expect(Math.max(...longest)).toBeLessThan(250), skip)
    await machine.end()
  })
})
