import { setTimeout as sleep } from 'node:timers/promises'
import { readAll } from '../db/query.ts'
import type { Session } from '../db/session.ts'
import { reasonOf } from '../db/sqlstate.ts'
import type { Emit } from '../events.ts'
import { sql } from '../sql/sql.ts'
import { Standstill, StandstillError } from './locks/standstill.ts'
import { PhasePace, type Activity } from './phase-pace.ts'
import { cancelUntil, type TableContext } from './table-context.ts'

const LOOK_EVERY_MS = 500
/** Shorter statements are not reported. */
const LONG_SECONDS = 2

type Watched = Pick<TableContext, 'control' | 'pid' | 'lockLimits'>

/**
 * Reports the progress of `work` in the working session, and the sessions it waits for.
 *
 * @throws {StandstillError} when it waited for the connection that we are called from, and has been cancelled
 */
export async function watched<T>(context: Watched, observer: Emit, work: () => Promise<T>): Promise<T> {
  const stop = new AbortController()
  const watching = watch(context, observer, stop.signal)
  try {
    return await work()
  } catch (error) {
    stop.abort()
    throw (await watching) ?? error
  } finally {
    stop.abort()
    await watching
  }
}

/** Returns why it has cancelled the work, if it has. */
async function watch(
  { control, pid, lockLimits }: Watched,
  observer: Emit,
  signal: AbortSignal,
): Promise<StandstillError | null> {
  const began = performance.now()
  const pace = new PhasePace()
  const standstill = new Standstill(control, lockLimits)
  try {
    for (;;) {
      await sleep(LOOK_EVERY_MS, undefined, { signal })
      const waits = await readWait(control, pid)
      const reason =
        waits.length === 0
          ? undefined
          : `for ${waits
              .slice(0, 3)
              .map(({ who }) => who)
              .join('; ')}`
      if (reason !== undefined) observer({ type: 'waiting', reason })
      await standstill.look(waits.map((wait) => wait.pid))
      const activity = await readActivity(control, pid)
      if (activity === undefined || reason !== undefined) continue
      const progress = pace.progress(activity)
      if (progress !== undefined) observer({ type: 'progress', progress })
      else if (activity.seconds > LONG_SECONDS)
        observer({ type: 'working', phase: activity.phase, seconds: (performance.now() - began) / 1000 })
    }
  } catch (error) {
    if (error instanceof StandstillError) {
      await cancelUntil(signal, control, pid)
      return error
    }
    if (signal.aborted) return null
    // The watched work reports its own failure; a lost connection of the watcher adds nothing.
    observer({
      type: 'note',
      text: `progress can no longer be read: ${reasonOf(error)}`,
    })
    return null
  }
}

async function readWait(control: Session, pid: number): Promise<{ readonly pid: number; readonly who: string }[]> {
  return readAll(
    control,
    sql`
    select b.pid, case when b.pid = 0 then (select 'a prepared transaction' || coalesce(': ' || string_agg(quote_literal(gid), ', ' order by prepared), '')
          from pg_prepared_xacts where database = current_database())
        else format('pid %s (%s)%s', b.pid, coalesce(nullif(a.application_name, ''), 'no application name'),
          case when a.state is not null then format(', %s for %s s', a.state, extract(epoch from clock_timestamp() - a.xact_start)::int) else '' end)
      end as who
    from (select distinct unnest(pg_blocking_pids(${pid})) as pid) b left join pg_stat_activity a on a.pid = b.pid`,
  )
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
