import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { describe, expect, onTestFinished } from 'vitest'
import type { Turns } from '../../src/engine/purge/turns.ts'
import { afterBatch, startingPace } from '../../src/pacing/batch-size.ts'
import { DEFAULT_PACE } from '../../src/pacing/limits.ts'
import { administrator } from '../pacing/support.ts'
import { test, type Database, type OwnServer } from '../support/database.ts'
import { startEbb, type EbbProcess } from '../support/ebb-process.ts'
import { purgeRequest } from '../support/purging.ts'
import { startStandby } from '../support/standby.ts'
import { OWNER } from '../support/template.ts'
import { quietly, written } from '../support/tool.ts'
import { until } from '../support/until.ts'
import { purge } from '../support/commands.ts'

// Half of a busy table is to go, and a replica follows: the purge is as fast as the replica, and no slower than that.

const MB = 1e6
const LIMIT_MB = 16
const ORDERS = 150_000
const TABLE = { schema: 'public', name: 'orders' }
/** Older than two years and cheap: what no partition can express. */
const OLD = `placed_at < now() - interval '2 years' and price < 100`
/** Promised: of what the same batches do that nobody paces. */
const FULL_SPEED = 0.8
const LEAST_ROUNDS = 2
const MOST_ROUNDS = 8

describe('with a streaming replica', () => {
  test('its lag stays below the limit, with any slowdown', async ({ ownServer, judgeTimes }) => {
    const own = await ownServer({ autovacuum: 'off' })
    const replica = await replicaOf(own)
    await createOrders(own.database)
    const lag = await Lag.watch(own.database)
    onTestFinished(() => void lag.end())
    await replica.query('select pg_wal_replay_pause()')

    const purging = startEbb([
      ...['purge', 'orders', '--where', OLD, '--cascade', '--no-archive', '--max-replica-lag', `${LIMIT_MB}MB`],
      ...['--execute', '--url', own.database.url],
    ])
    for (let slowDown = 1; slowDown <= 2; slowDown++) {
      await replica.query('select pg_wal_replay_pause()')
      const gone = await standsStill(own.database, purging)
      expect(gone).toBeLessThan(ORDERS / 2)
      await replica.query('select pg_wal_replay_resume()')
      await until(async () => (await goneOf(own.database)) >= gone + 3_000)
    }
    expect(await purging.ended, purging.said.err).toBe(0)
    const worst = await lag.end()

    console.log(`greatest lag ${(worst / MB).toFixed(1)} of ${LIMIT_MB} MB\n${purging.said.out}`)
    expect(worst).toBeGreaterThan((LIMIT_MB * MB) / 2)
    expect(purging.said.err).toMatch(/waiting: replica standby_\d+ is [\d.]+ MB \(limit 16\.0 MB\) behind/)
    expect(purging.said.out).toMatch(/is purged of 75,000 rows/)
    expect(purging.said.out).toMatch(/pauses +[\d.]+ m?i?n?s? .*replica lag/)
    expect(purging.said.out).toMatch(/maximum replica lag +[\d.]+ MB/)
    expect(purging.said.out).toContain('No matching rows are left.')
    await judgeTimes(() => expect(worst).toBeLessThan(LIMIT_MB * MB))
  })

  // The best of either side: what else the machine does only ever takes away.
  test('while it keeps up, pacing costs next to nothing', async ({ ownServer, judgeTimes }) => {
    const { database, server } = await ownServer()
    await replicaOf({ database, server })
    const best = { paced: 0, unpaced: 0 }
    for (
      let round = 1;
      round <= LEAST_ROUNDS || (round <= MOST_ROUNDS && best.paced < FULL_SPEED * best.unpaced);
      round++
    ) {
      best.unpaced = Math.max(best.unpaced, await rateOf(database, false))
      best.paced = Math.max(best.paced, await rateOf(database, true))
      console.log(
        `best of ${round}: ${Math.round(best.paced)} rows a second at its pace, ${Math.round(best.unpaced)} without`,
      )
    }
    await judgeTimes(() => expect(best.paced).toBeGreaterThan(FULL_SPEED * best.unpaced))
  })
})

/** Orders with two lines each; every other one is old and cheap. */
async function createOrders(database: Database): Promise<void> {
  const owner = await database.session('setup')
  await owner.query(`
    drop table if exists orders, lines;
    create table orders (id int primary key, placed_at timestamptz not null, price numeric not null, note text default repeat('x', 200));
    create table lines (id bigint generated always as identity primary key, order_id int not null references orders);
    insert into orders select n, now() - interval '3 years', case when n % 2 = 0 then 50 else 500 end from generate_series(1, ${ORDERS}) n;
    insert into lines (order_id) select n from generate_series(1, ${ORDERS}) n, generate_series(1, 2);
    create index on lines (order_id)`)
  await owner.query('vacuum (analyze) orders')
  await owner.query('vacuum (analyze) lines')
  // From here on each page that is changed goes into the WAL as a whole: the worst that a replica can meet.
  await database.admin('checkpoint')
  await caughtUp(database)
}

async function replicaOf({ server, database }: OwnServer): Promise<pg.Client> {
  await database.admin(`grant pg_read_all_stats to ${OWNER}`)
  const standby = await startStandby(server)
  await caughtUp(database)
  return administrator(standby.url)
}

const LAG = `select pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float8 as bytes from pg_stat_replication where state = 'streaming'`

async function caughtUp(database: Database): Promise<void> {
  await until(async () => ((await database.admin<{ bytes: number }>(LAG)).rows[0]?.bytes ?? MB) < MB / 10, {})
}

/** Comes back when nothing has gone for a second and a half and the reason is told, with what has gone by then. */
async function standsStill(database: Database, { said }: EbbProcess): Promise<number> {
  const from = said.err.length
  await until(() => /replica standby_\d+ is/.test(said.err.slice(from)), {
    what: 'a wait for the replica',
  })
  let [gone, since] = [-1, performance.now()]
  await until(async () => {
    const now = await goneOf(database)
    if (now !== gone) [gone, since] = [now, performance.now()]
    return performance.now() - since > 1_500
  })
  return gone
}

async function goneOf(database: Database): Promise<number> {
  const journal = await database.admin<{ there: boolean }>(`select to_regclass('ebb.purge_batch') is not null as there`)
  if (journal.rows[0]?.there !== true) return 0
  const { rows } = await database.admin<{ rows: number }>(
    'select coalesce(sum(rows), 0)::int as rows from ebb.purge_batch',
  )
  return rows[0]?.rows ?? 0
}

/** Rows a second from the first batch to the last. */
async function rateOf(database: Database, isPaced: boolean): Promise<number> {
  await createOrders(database)
  const request = purgeRequest(OLD, { cascade: true })
  const how = isPaced ? { pacing: { settings: DEFAULT_PACE, paceFile: null } } : { turns: unpaced() }
  const { runId } = await purge(database.url, written(TABLE), request, { ...quietly(), ...how })
  const { rows } = await database.admin<{ rate: number }>(`
    select (sum(rows) / extract(epoch from max(at) - min(at - milliseconds * interval '1 ms')))::float8 as rate
    from ebb.purge_batch where run_id = ${runId}`)
  return rows[0]?.rate ?? 0
}

/** Batches that follow the target time as those of a pace do, and never wait. */
function unpaced(): Turns {
  const bounds = { targetMs: DEFAULT_PACE.targetMs, leastRows: 1, mostRows: 100_000 }
  let sizes = startingPace(bounds)
  return {
    turn: (last) => {
      if (last !== null) sizes = afterBatch(sizes, sizes.rows, last, bounds)
      return Promise.resolve({ rows: sizes.rows })
    },
  }
}

/** Looks at the replica's lag all the time, as somebody else would. */
class Lag {
  private worst = 0
  private going = true
  private readonly watching: Promise<void>

  private constructor(client: pg.Client) {
    this.watching = this.look(client)
  }

  static async watch(database: Database): Promise<Lag> {
    return new Lag(await database.session('watcher', { admin: true }))
  }

  /** The worst that was seen, in bytes. */
  async end(): Promise<number> {
    this.going = false
    await this.watching
    return this.worst
  }

  private async look(client: pg.Client): Promise<void> {
    while (this.going) {
      const { rows } = await client.query<{ bytes: number }>(LAG)
      this.worst = Math.max(this.worst, rows[0]?.bytes ?? 0)
      await sleep(10)
    }
  }
}
