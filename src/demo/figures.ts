import type pg from 'pg'
import { partitionMap } from '../report/partition-map.ts'
import { readPartitionMap, type MapEntry } from '../catalog/partitions/inspect-partitions.ts'
import { readOne } from '../db/query.ts'
import { showElapsed } from '../text/elapsed.ts'
import { columns } from '../text/columns.ts'
import { showBytes, showCount } from '../text/units.ts'
import { sql } from '../sql/sql.ts'
import type { TrafficReport } from './traffic.ts'

/** What can be counted in the shop at one moment. */
export interface Stock {
  readonly events: Count
  readonly pageViews: Count
  /** Events younger than the horizon by an hour; the demo takes less than that. */
  readonly eventsToKeep: number
  /** Page views younger than the horizon given to `takeStock`. */
  readonly pageViewsToKeep: number
}

export interface Count {
  readonly rows: number
  /** Including indexes and partitions. */
  readonly bytes: number
}

/** The result of the demo. */
export interface DemoReport {
  readonly before: Stock
  readonly after: Stock
  /** How long the swaps held their locks. */
  readonly lockMs: { readonly partition: number; readonly split: number }
  readonly traffic: TrafficReport
  /** Rows confirmed by the server, or to be kept from the start, that are missing at the end: 0. */
  readonly missing: number
}

/** How long rows are kept: younger ones must not be lost. */
export const KEPT = '90 days'

/** The horizon by the server's clock, as text. */
export async function readHorizon(client: pg.Client): Promise<string> {
  const { horizon } = await readOne<{ horizon: string }>(
    client,
    sql`select (now() - ${KEPT}::interval)::text as horizon`,
  )
  return horizon
}

/** An exact count, fast enough for a demo. */
export async function takeStock(client: pg.Client, horizon: string): Promise<Stock> {
  return readOne<Stock>(
    client,
    sql`
    select json_build_object('rows', (select count(*) from public.events), 'bytes', ${sizeOf('public.events')}) as events,
      json_build_object('rows', (select count(*) from public.page_views), 'bytes', ${sizeOf('public.page_views')}) as "pageViews",
      (select count(*)::int from public.events where created_at >= ${horizon}::timestamptz + interval '1 hour') as "eventsToKeep",
      (select count(*)::int from public.page_views where viewed_at >= ${horizon}::timestamptz) as "pageViewsToKeep"`,
  )
}

// pg_partition_tree is empty for a plain table.
function sizeOf(table: string) {
  return sql`(select coalesce(sum(pg_total_relation_size(relid)), pg_total_relation_size(${table}::regclass))
    from pg_partition_tree(${table}::regclass))`
}

/** How long the swaps have held their locks, from the journal of the runs. */
export async function readLockMs(client: pg.Client): Promise<DemoReport['lockMs']> {
  return readOne<DemoReport['lockMs']>(
    client,
    sql`
    select max(held) filter (where command = 'partition') as partition, max(held) filter (where command = 'split') as split
    from (select command, (step -> 'lock' ->> 'heldMs')::float8 as held
      from ebb.run, jsonb_array_elements(outcome -> 'steps') step where step ->> 'key' = 'swap') swaps`,
  )
}

/** Rows that should exist and do not. Traffic must have ended. */
export function countMissing(before: Stock, after: Stock, { written }: TrafficReport): number {
  const events = before.eventsToKeep + written.events - after.eventsToKeep
  const pageViews = before.pageViewsToKeep + written.pageViews - after.pageViewsToKeep
  return Math.abs(events) + Math.abs(pageViews)
}

export async function readMaps(client: pg.Client): Promise<Readonly<Record<string, readonly MapEntry[]>>> {
  return {
    events: await readPartitionMap(client, { schema: 'public', name: 'events' }),
    page_views: await readPartitionMap(client, { schema: 'public', name: 'page_views' }),
  }
}

/** The figures for people. */
export function describeFigures({ before, after, lockMs, traffic, missing }: DemoReport): string[] {
  const { written } = traffic
  const gone = (from: Count, more: number, to: Count) => showCount(from.rows + more - to.rows)
  return columns([
    [
      'events',
      `${change(before.events, after.events)}; ${showCount(written.events)} written meanwhile, ${gone(before.events, written.events, after.events)} expired and dropped`,
    ],
    [
      'page_views',
      `${change(before.pageViews, after.pageViews)}; ${gone(before.pageViews, written.pageViews, after.pageViews)} expired and dropped`,
    ],
    ['rows lost', `${showCount(missing)} of those to be kept`],
    ['time under lock', `${showElapsed(lockMs.partition)} to partition, ${showElapsed(lockMs.split)} to split`],
    [
      'maximum blocking time',
      `${showElapsed(traffic.longestWaitMs)} for any application session, p99 ${showElapsed(traffic.p99Ms)}`,
    ],
    [
      'application errors',
      `${traffic.errors.length} in ${showCount(traffic.statements)} statements of ${traffic.sessions} sessions`,
    ],
  ])
}

export function describeMaps(maps: Readonly<Record<string, readonly MapEntry[]>>): string[] {
  return Object.entries(maps).flatMap(([table, entries]) => [
    '',
    table,
    ...partitionMap(entries).map((line) => `  ${line}`),
  ])
}

function change(before: Count, after: Count): string {
  return `${showCount(before.rows)} → ${showCount(after.rows)} rows, ${showBytes(before.bytes)} → ${showBytes(after.bytes)}`
}
