import type { ClientBase } from 'pg'
import { readAll } from '../db/query.ts'
import { sql } from '../sql/sql.ts'
import { at } from './journal.ts'

/** How a run was paced between two moments, and what others noticed of it. */
export interface PaceInterval {
  /** By the server's clock, in microseconds since the epoch. */
  readonly from: bigint
  readonly to: bigint
  /** Batches, chunks or ranges that were begun. */
  readonly turns: number
  /** By reason. */
  readonly pausedMs: Readonly<Record<string, number>>
  /** The greatest seen; null where none was. */
  readonly lagBytes: number | null
  readonly lagSeconds: number | null
  /** Waits of others for our locks, counted when they were first seen; null where they cannot be seen. */
  readonly waits: number | null
  readonly longestWaitMs: number | null
}

/** What of the intervals of a run has changed: from the one at `first` on they are these, and no more follow. */
export interface ChangedIntervals {
  readonly first: number
  readonly intervals: readonly PaceInterval[]
}

/** The intervals of a run, in order. */
export async function paceIntervals(session: ClientBase, schema: string, runId: string): Promise<PaceInterval[]> {
  const rows = await readAll<Omit<PaceInterval, 'from' | 'to'> & { readonly from: string; readonly to: string }>(
    session,
    sql`
    select (extract(epoch from from_at) * 1000000)::bigint::text as from, (extract(epoch from to_at) * 1000000)::bigint::text as to,
      turns, paused as "pausedMs", lag_bytes::float8 as "lagBytes", lag_seconds as "lagSeconds", waits, longest_wait_ms as "longestWaitMs"
    from ${at(schema, 'pace_interval')} where run_id = ${runId} order by number`,
  )
  return rows.map((row) => ({ ...row, from: BigInt(row.from), to: BigInt(row.to) }))
}

/** Records what has changed. */
export async function recordIntervals(
  session: ClientBase,
  schema: string,
  runId: string,
  { first, intervals }: ChangedIntervals,
): Promise<void> {
  const rows = intervals.map(({ from, to, ...rest }) => ({ ...rest, from: from.toString(), to: to.toString() }))
  const moment = (micros: 'from' | 'to') =>
    sql`timestamptz 'epoch' + (i ->> ${micros})::bigint * interval '1 microsecond'`
  await session.query(sql`
    with joined as (delete from ${at(schema, 'pace_interval')} where run_id = ${runId} and number >= ${first + rows.length})
    insert into ${at(schema, 'pace_interval')} (run_id, number, from_at, to_at, turns, paused, lag_bytes, lag_seconds, waits, longest_wait_ms)
    select ${runId}, ${first}::int + position::int - 1, ${moment('from')}, ${moment('to')}, (i ->> 'turns')::int, i -> 'pausedMs',
      (i ->> 'lagBytes')::float8, (i ->> 'lagSeconds')::float8, (i ->> 'waits')::int, (i ->> 'longestWaitMs')::float8
    from jsonb_array_elements(${JSON.stringify(rows)}) with ordinality e (i, position)
    on conflict (run_id, number) do update set from_at = excluded.from_at, to_at = excluded.to_at, turns = excluded.turns,
      paused = excluded.paused, lag_bytes = excluded.lag_bytes, lag_seconds = excluded.lag_seconds, waits = excluded.waits,
      longest_wait_ms = excluded.longest_wait_ms`)
}
