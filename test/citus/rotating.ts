import { setTimeout as sleep } from 'node:timers/promises'
import { rotate, type SetReport } from '../../src/engine/commands/rotate.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import type { Event } from '../../src/events.ts'
import { request } from '../engine/rotate-support.ts'
import type { Cluster } from '../support/citus.ts'
import { quietly } from '../support/tool.ts'

const EXPIRED = { keep: '2 months' } as const

/** A distributed set of months, as offsets from the present one, with rows up to now. */
export async function events(cluster: Cluster, from = -5, to = 1): Promise<void> {
  await cluster.admin(
    'create table events (tenant_id int not null, at timestamptz not null, v text) partition by range (at)',
  )
  const months = await cluster.admin<{ n: number; a: string; b: string }>(
    `select n, (date_trunc('month', now() at time zone 'UTC') + make_interval(months => n))::text || '+00' as a,
       (date_trunc('month', now() at time zone 'UTC') + make_interval(months => n + 1))::text || '+00' as b from generate_series(${from}, ${to}) n`,
  )
  for (const { n, a, b } of months)
    await cluster.admin(`create table events_${n - from} partition of events for values from ('${a}') to ('${b}')`)
  await cluster.admin('set citus.shard_count = 8')
  await cluster.admin(`select create_distributed_table('events', 'tenant_id')`)
  for (const { n, a } of months.filter(({ n }) => n <= 0))
    await cluster.admin(
      `insert into events select i % 40, timestamptz '${a}', 'x' from generate_series(1, 400 + ${n}) i`,
    )
}

export function asked(cluster: Cluster, more: Parameters<typeof request>[0] = {}) {
  return request({ tables: [cluster.table('events')], ...EXPIRED, ...more })
}

export async function rotateEvents(
  cluster: Cluster,
  more: Parameters<typeof request>[0] = {},
  options: Partial<EngineOptions> = {},
): Promise<SetReport> {
  const quiet = quietly({ journalSchema: cluster.journalSchema, ...options })
  const { sets } = await rotate(cluster.url, asked(cluster, more), quiet)
  return sets[0]!
}

export function isWaitingFor(events: readonly Event[], what: RegExp): boolean {
  return events.some((event) => event.type === 'waiting' && what.test(event.reason))
}

/** Reads of one tenant on each node, one after the other, until the signal: the longest wait of each node, in milliseconds. */
export async function readOnAllNodes(cluster: Cluster, signal: AbortSignal): Promise<readonly Promise<number>[]> {
  return [cluster.url, ...(await cluster.workers())].map(async (url) => {
    const session = await cluster.session(url)
    let longest = 0
    while (!signal.aborted) {
      const began = performance.now()
      await session.query(`select count(*) from ${cluster.schema}.events where tenant_id = 7`)
      longest = Math.max(longest, performance.now() - began)
      await sleep(5)
    }
    return longest
  })
}
