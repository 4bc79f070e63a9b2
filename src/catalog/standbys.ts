import type { ClientBase } from 'pg'
import { readAllPrepared } from '../db/query.ts'
import { sql } from '../sql/sql.ts'

/**
 * A slot that a standby follows. From 19 on there may be one that nobody reads by: it keeps deleted rows for subscriptions
 * that look for conflicts (`retain_dead_tuples`), and its xmin stays where it is while a publisher does not answer.
 */
export const IS_SLOT_OF_A_STANDBY = sql`slot_type = 'physical' and slot_name <> 'pg_conflict_detection'`

/**
 * Standbys whose readers this server cannot see: without hot_standby_feedback, or not connected at
 * the moment. What is fed from an archive alone is not known here at all.
 */
export async function readSilentStandbys(session: ClientBase): Promise<string[]> {
  const rows = await readAllPrepared<{ name: string }>(
    session,
    sql`
    select coalesce(nullif(r.application_name, ''), 'pid ' || r.pid) as name
    from pg_stat_replication r join pg_stat_activity a on a.pid = r.pid and a.datid is null
    left join pg_replication_slots s on s.active_pid = r.pid
    where r.backend_xmin is null and s.xmin is null and r.state is distinct from 'backup'
      and r.application_name not in ('pg_receivewal', 'pg_basebackup')
    union all
    select format('replication slot %s, not connected', slot_name) from pg_replication_slots where ${IS_SLOT_OF_A_STANDBY} and not active
    order by name`,
  )
  return rows.map(({ name }) => name)
}
