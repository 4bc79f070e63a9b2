import { backendPid } from '../../db/pooler.ts'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { UNUSED } from '../../db/shared-sessions.ts'
import { sql } from '../../sql/sql.ts'
import type { RoomReading } from '../room.ts'

/**
 * Counts everyone but the sessions of this run, and those that wait to be handed on to another. A transaction of a millisecond is hardly ever seen at work, so sessions
 * count for a second after their last statement.
 */
export async function readRoom(session: Session, application: string): Promise<RoomReading> {
  const reading = await readOne<RoomReading>(
    session,
    sql`
    select case when not coalesce(bool_or(usesysid is not null and backend_type is null), false) then
        (count(*) filter (where backend_type = 'client backend' and application_name <> ${UNUSED}
          and (state <> 'idle' and state not like 'idle in transaction%' or state_change > clock_timestamp() - interval '1 second')))::int end as busy,
      m.connections as "maxConnections",
      m.connections - m.reserved - (select coalesce(sum(numbackends), 0) from pg_stat_database)::int as free
    from (select current_setting('max_connections')::int as connections,
        current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true), '0')::int as reserved) m
    left join pg_stat_activity on application_name is distinct from ${application} and pid <> pg_backend_pid()
    group by m.connections, m.reserved`,
  )
  return (await isPooled(session)) ? { ...reading, free: null } : reading
}

/** A pooler announces a process number of its own. */
async function isPooled(session: Session): Promise<boolean> {
  return (await backendPid(session)) !== (session as unknown as { processID: number | null }).processID
}
