import type { ClientBase } from 'pg'
import { readAll } from '../db/query.ts'
import { sql } from '../sql/sql.ts'
import { at, hasTable } from './journal.ts'

// What the journal knows of how runs went, for people to look at.

/** The figures of a run, those of earlier calls included. */
export interface RunFigures {
  readonly runId: string
  /** Batches of a purge, chunks of a copy, or ranges of a comparison; null without any. */
  readonly pieces: { readonly count: number; readonly rows: number; readonly slowestMs: number } | null
  /** Null where it was not paced. */
  readonly pace: PaceFigures | null
  /** Of short locks: the longest time that one was held, and that others may have waited for one; null without. */
  readonly locks: { readonly heldMs: number; readonly longestWaitMs: number } | null
}

export interface PaceFigures {
  readonly pausedMs: Readonly<Record<string, number>>
  readonly lagBytes: number | null
  readonly lagSeconds: number | null
  readonly waits: number | null
  readonly longestWaitMs: number | null
}

/** Whether the journal has them: one that an earlier version has migrated last has not. */
export async function hasRunFigures(session: ClientBase, schema: string): Promise<boolean> {
  return hasTable(session, schema, 'pace_interval')
}

const PIECES = (schema: string, runIds: readonly string[]) => {
  const of = (kind: PieceKind, table: string) =>
    sql`select run_id, ${kind}::text as kind, at, rows, milliseconds from ${at(schema, table)} where run_id = any (${runIds}::bigint[])`
  return sql`(${of('batch', 'purge_batch')} union all ${of('chunk', 'chunk')} union all ${of('range', 'comparison')})`
}

/** In the order of the runs. Of a copy the pieces are its chunks: the comparison has the same rows again. */
export async function readRunFigures(
  session: ClientBase,
  schema: string,
  runIds: readonly string[],
): Promise<RunFigures[]> {
  return readAll<RunFigures>(
    session,
    sql`
    with piece as (
      select run_id, json_build_object('count', count(*), 'rows', sum(rows), 'slowestMs', max(milliseconds)) as figures
      from ${PIECES(schema, runIds)} p where kind <> 'range' group by 1
    ), paused as (
      select run_id, json_object_agg(reason, ms order by ms desc) as by_reason from (
        select run_id, p.key as reason, sum(p.value::float8) as ms from ${at(schema, 'pace_interval')}, jsonb_each_text(paused) p
        where run_id = any (${runIds}::bigint[]) group by 1, 2) r group by 1
    ), pace as (
      select i.run_id, json_build_object('pausedMs', coalesce((select by_reason from paused p where p.run_id = i.run_id), '{}'),
        'lagBytes', max(lag_bytes), 'lagSeconds', max(lag_seconds), 'waits', sum(waits), 'longestWaitMs', max(longest_wait_ms)) as figures
      from ${at(schema, 'pace_interval')} i where run_id = any (${runIds}::bigint[]) group by 1
    ), locks as (
      select run_id, json_build_object('heldMs', max(held_ms), 'longestWaitMs', max(longest_wait_ms)) as figures
      from ${at(schema, 'step')} where held_ms is not null and run_id = any (${runIds}::bigint[]) group by 1
    )
    select r.id::text as "runId", piece.figures as pieces, pace.figures as pace, locks.figures as locks
    from unnest(${runIds}::bigint[]) with ordinality r (id, position) left join piece on piece.run_id = r.id
      left join pace on pace.run_id = r.id left join locks on locks.run_id = r.id order by r.position`,
  )
}

export type PieceKind = 'batch' | 'chunk' | 'range'

/** Pieces of a run that were done one after the other. */
export interface Pieces {
  readonly runId: string
  readonly kind: PieceKind
  /** When the first and the last of them were done. */
  readonly from: Date
  readonly to: Date
  readonly count: number
  readonly rows: number
  readonly medianMs: number
  readonly slowestMs: number
}

/** The pieces of runs in order, by kind, in so many equal spans of time at most. */
export async function readPieces(
  session: ClientBase,
  schema: string,
  runIds: readonly string[],
  spans: number,
): Promise<Pieces[]> {
  return readAll<Pieces>(
    session,
    sql`
    with piece as (
      select * from ${PIECES(schema, runIds)} p where at is not null
    ), placed as (
      select *, width_bucket(extract(epoch from at - min(at) over run)::float8, 0,
        greatest(extract(epoch from max(at) over run - min(at) over run)::float8, 0.001) * 1.000001, ${spans}::int) as span
      from piece window run as (partition by run_id)
    )
    select run_id::text as "runId", kind, min(at) as from, max(at) as to, count(*)::int as count, sum(rows)::float8 as rows,
      percentile_cont(0.5) within group (order by milliseconds) as "medianMs", max(milliseconds) as "slowestMs"
    from placed group by run_id, kind, span order by run_id, min(at), kind`,
  )
}
