import { describe, expect } from 'vitest'
import { purgeRequest } from '../support/purging.ts'
import { until } from '../support/until.ts'
import { events, test } from './support.ts'

// The coordinator crashes between the two phases of a commit, provably: a node waits for a standby that does not exist, right
// after it has prepared its part, or the coordinator does, right after its own commit. It crashes for everybody who is connected,
// so this is tested by itself: EBB_TEST_CITUS_CRASH=1 npx vitest run test/citus/two-phase.test.ts

const OLD = `at < '2026-01-15'`
const PREPARED = `select count(*)::int as n from pg_prepared_xacts where gid like 'citus\\_%'`

describe.for([
  ['prepared on a node, and not committed here', 'a worker'],
  ['committed here, and only prepared on the nodes', 'the coordinator'],
] as const)('a batch that is %s', ([, waits]) => {
  test.skipIf(process.env.EBB_TEST_CITUS_CRASH === undefined)(
    'is there as a whole, or not at all, and the same command deletes the rest',
    async ({ citus, owner, cluster }) => {
      await events(owner, 5_000)
      const before = await citus.total(owner, 'events')
      const kept = await citus.total(owner, 'events', `(${OLD}) is not true`)
      const workers = await Promise.all((await cluster.workers()).map((url) => cluster.session(url)))
      const slow = waits === 'a worker' ? workers[0]! : await cluster.session()
      const killer = await cluster.session()
      let batches = 0
      const turn = async () => {
        batches += 1
        if (batches === 3) {
          await slow.query(`alter system set synchronous_standby_names = 'nobody'`)
          await slow.query('select pg_reload_conf()')
        }
        return { rows: 100 }
      }
      const purging = citus.purge('events', purgeRequest(OLD), { turns: { turn } })
      purging.catch(() => {})
      try {
        await until(async () => {
          const counts = await Promise.all(
            workers.map(async (one) => (await one.query<{ n: number }>(PREPARED)).rows[0]!.n),
          )
          return counts.some((n) => n > 0)
        })
        // It is waited for until nobody moves any more: with the commit here, all nodes have prepared.
        const pid = await until(async () => {
          const { rows } = await killer.query<{ pid: number }>(
            `select pid from pg_stat_activity where application_name like 'ebb purge%' and backend_type = 'client backend' and (coalesce(wait_event, '') = 'SyncRep') = $1
             and state = 'active' and query ilike 'commit%'`,
            [waits === 'the coordinator'],
          )
          return rows[0]?.pid
        })
        await killer.query(`copy (select 1) to program 'kill -9 ${pid}'`).catch(() => {})
      } finally {
        const reset = waits === 'a worker' ? slow : (await until(() => cluster.session().catch(() => undefined)))!
        await reset.query('alter system reset synchronous_standby_names')
        await reset.query('select pg_reload_conf()')
      }
      await expect(purging).rejects.toMatchObject({ kind: 'try later' })
      const coordinator = (await until(() => citus.session().catch(() => undefined)))!
      await coordinator.query('select recover_prepared_transactions()')
      const { remaining } = await citus.purge('events', purgeRequest(OLD))
      expect(remaining).toMatchObject({ matching: 0 })
      expect([await citus.total(coordinator, 'events', OLD), await citus.total(coordinator, 'events')]).toEqual([
        0,
        kept,
      ])
      const { rows } = await coordinator.query(`select sum(rows)::int as rows from ${citus.journalSchema}.purge_batch`)
      expect(rows).toEqual([{ rows: before - kept }])
    },
  )
})
