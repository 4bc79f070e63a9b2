import { setTimeout as sleep } from 'node:timers/promises'
import { readAll, type Session } from '../db/session.ts'
import type { Observer, Progress } from '../report/events.ts'
import { sql } from '../sql/sql.ts'

const LOOK_EVERY_MS = 500

/**
 * Tells, while `work` runs in the backend `pid`, how far it has come and whom
 * it waits for. Nobody watches a silent terminal.
 */
export async function watched<T>(
  control: Session,
  pid: number,
  observer: Observer,
  work: () => Promise<T>,
): Promise<T> {
  const stop = new AbortController()
  const watching = watch(control, pid, observer, stop.signal)
  try {
    return await work()
  } finally {
    stop.abort()
    await watching
  }
}

async function watch(control: Session, pid: number, observer: Observer, signal: AbortSignal): Promise<void> {
  const began = performance.now()
  try {
    for (;;) {
      await sleep(LOOK_EVERY_MS, undefined, { signal })
      const reason = await readWait(control, pid)
      if (reason !== undefined) observer({ type: 'waiting', reason })
      const progress = await readIndexProgress(control, pid, (performance.now() - began) / 1000)
      if (progress !== undefined) observer({ type: 'progress', progress })
    }
  } catch (error) {
    if (signal.aborted) return
    // What is watched reports its own failure; that the watcher lost its connection adds nothing.
    observer({
      type: 'note',
      text: `progress can no longer be seen: ${error instanceof Error ? error.message : String(error)}`,
    })
  }
}

async function readWait(control: Session, pid: number): Promise<string | undefined> {
  const rows = await readAll<{ who: string }>(
    control,
    sql`
    select case when b.pid = 0 then (select 'a prepared transaction' || coalesce(': ' || string_agg(quote_literal(gid), ', ' order by prepared), '')
          from pg_prepared_xacts where database = current_database())
        else format('pid %s (%s)%s', b.pid, coalesce(nullif(a.application_name, ''), 'no application name'),
          case when a.state is not null then format(', %s for %s s', a.state, extract(epoch from clock_timestamp() - a.xact_start)::int) else '' end)
      end as who
    from (select distinct unnest(pg_blocking_pids(${pid})) as pid) b left join pg_stat_activity a on a.pid = b.pid limit 3`,
  )
  return rows.length === 0 ? undefined : `for ${rows.map(({ who }) => who).join('; ')}`
}

async function readIndexProgress(control: Session, pid: number, seconds: number): Promise<Progress | undefined> {
  const [row] = await readAll<{ phase: string; done: string; total: string; unit: string }>(
    control,
    sql`
    select phase, case when tuples_total > 0 then tuples_done else blocks_done end::text as done,
      case when tuples_total > 0 then tuples_total else blocks_total end::text as total,
      case when tuples_total > 0 then 'rows' else 'blocks' end as unit
    from pg_stat_progress_create_index where pid = ${pid}`,
  )
  if (row === undefined || row.total === '0') return undefined
  const [done, total] = [Number(row.done), Number(row.total)]
  const perSecond = done / seconds
  const remainingSeconds = perSecond > 0 && seconds > 2 ? (total - done) / perSecond : null
  return { what: row.phase, done, total, unit: row.unit, perSecond, remainingSeconds }
}
