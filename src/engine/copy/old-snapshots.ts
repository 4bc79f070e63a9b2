import { setTimeout as sleep } from 'node:timers/promises'
import { readAll, readOne } from '../../db/session.ts'
import { EbbError, EXIT } from '../../errors.ts'
import { sql } from '../../sql/sql.ts'
import type { Workplace } from '../workplace.ts'

const LOOK_EVERY_MS = 250

/**
 * Waits until no session has a snapshot older than the last copied row. Such a
 * session (a REPEATABLE READ transaction, a dump, a STABLE function under way)
 * would read too little from the new table, without an error.
 *
 * @throws {EbbError} when some are still there after `deadlineMs`
 */
export async function oldSnapshotsGone(
  { session, control, pid, observer, signal }: Workplace,
  deadlineMs: number,
): Promise<void> {
  const { xid, moment } = await readOne<{ xid: string; moment: string }>(
    session,
    sql`select pg_current_xact_id()::text as xid, clock_timestamp()::text as moment`,
  )
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const old = await readAll<{ who: string }>(
      control,
      sql`
      select format('pid %s (%s)%s', pid, coalesce(nullif(application_name, ''), 'no application name'),
          case when state is not null then format(', %s for %s s', state, extract(epoch from clock_timestamp() - xact_start)::int) else '' end) as who
      from pg_stat_activity where datname = current_database() and pid <> ${pid} and pid <> pg_backend_pid()
        and (application_name = 'pg_dump' or (
          backend_xmin is not null and age(backend_xmin) > age((${xid}::bigint & 4294967295)::text::xid)
          -- As long as one transaction that writes is open anywhere, all new snapshots look as old as that one.
          and (xact_start is null or xact_start <= ${moment}::timestamptz)
          -- They read no rows for anybody.
          and pid <> all (array(select pid from pg_stat_progress_vacuum union all select pid from pg_stat_progress_analyze))))`,
    )
    if (old.length === 0) return
    const reason = `for transactions that began before the last rows were copied, and would read too little: ${old.map(({ who }) => who).join('; ')}`
    if (performance.now() > deadline)
      throw new EbbError(
        `transactions are still open that began before the last rows were copied: ${old.map(({ who }) => who).join('; ')}`,
        {
          state: 'The copy is complete and still being kept up to date; the swap has not happened.',
          next: 'When they have ended, run the same command again.',
        },
        EXIT.tryLater,
      )
    observer({ type: 'waiting', reason })
    await sleep(LOOK_EVERY_MS, undefined, { signal })
  }
}
