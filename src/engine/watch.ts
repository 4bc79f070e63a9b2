import { setTimeout as sleep } from 'node:timers/promises'
import { readAll, type Session } from '../db/session.ts'
import { reasonOf } from '../db/sqlstate.ts'
import type { Emit } from '../events.ts'
import { sql } from '../sql/sql.ts'
import { PhasePace, type Activity } from './phase-pace.ts'

const LOOK_EVERY_MS = 500
/** Shorter statements are not reported. */
const LONG_SECONDS = 2

/** Reports the progress of `work` in the backend `pid`, and the sessions it waits for. */
export async function watched<T>(control: Session, pid: number, observer: Emit, work: () => Promise<T>): Promise<T> {
  const stop = new AbortController()
  const watching = watch(control, pid, observer, stop.signal)
  try {
    return await work()
  } finally {
    stop.abort()
    await watching
  }
}

async function watch(control: Session, pid: number, observer: Emit, signal: AbortSignal): Promise<void> {
  const began = performance.now()
  const pace = new PhasePace()
  try {
    for (;;) {
      await sleep(LOOK_EVERY_MS, undefined, { signal })
      const reason = await readWait(control, pid)
      if (reason !== undefined) observer({ type: 'waiting', reason })
      const activity = await readActivity(control, pid)
      if (activity === undefined || reason !== undefined) continue
      const progress = pace.progress(activity)
      if (progress !== undefined) observer({ type: 'progress', progress })
      else if (activity.seconds > LONG_SECONDS)
        observer({ type: 'working', phase: activity.phase, seconds: (performance.now() - began) / 1000 })
    }
  } catch (error) {
    if (signal.aborted) return
    // The watched work reports its own failure; a lost connection of the watcher adds nothing.
    observer({
      type: 'note',
      text: `progress can no longer be read: ${reasonOf(error)}`,
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

async function readActivity(control: Session, pid: number): Promise<Activity | undefined> {
  const [activity] = await readAll<Activity>(
    control,
    sql`
    select extract(epoch from clock_timestamp() - a.query_start)::float8 as seconds, coalesce(i.phase, v.phase) as phase,
      case when i.tuples_total > 0 then i.tuples_done when i.pid is not null then i.blocks_done
           when v.phase = 'scanning heap' then v.heap_blks_scanned when v.phase = 'vacuuming heap' then v.heap_blks_vacuumed end::float8 as done,
      case when i.tuples_total > 0 then i.tuples_total when i.pid is not null then i.blocks_total
           when v.phase in ('scanning heap', 'vacuuming heap') then v.heap_blks_total end::float8 as total,
      case when i.tuples_total > 0 then 'rows' else 'blocks' end as unit
    from pg_stat_activity a left join pg_stat_progress_create_index i using (pid) left join pg_stat_progress_vacuum v using (pid)
    where a.pid = ${pid} and a.state = 'active'`,
  )
  return activity
}
