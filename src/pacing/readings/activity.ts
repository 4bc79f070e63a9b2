import type { ClientBase } from 'pg'
import { readOnePrepared } from '../../db/query.ts'
import { UNUSED } from '../../db/shared-sessions.ts'
import { sql } from '../../sql/sql.ts'

/** What others do on the whole server. */
export interface Activity {
  /** Sessions that are active at this moment. */
  readonly active: number
  /** Those that have been within the last second: a transaction of a millisecond is hardly ever seen at work. */
  readonly busy: number
}

const WORKS = sql`state in ('active', 'fastpath function call') and backend_type = 'client backend'`

/**
 * Active sessions on the whole server, without our own. Null if this role may not see the activity of others: a
 * partial count would look like a complete one.
 */
export async function readActivity(session: ClientBase, application: string): Promise<Activity | null> {
  const { hidden, ...activity } = await readOnePrepared<Activity & { hidden: boolean }>(
    session,
    sql`
    select count(*) filter (where ${WORKS})::int as active,
      count(*) filter (where ${WORKS} or backend_type = 'client backend' and state_change > clock_timestamp() - interval '1 second')::int as busy,
      coalesce(bool_or(usesysid is not null and backend_type is null), false) as hidden
    from pg_stat_activity where application_name is distinct from ${application} and application_name is distinct from ${UNUSED}`,
  )
  return hidden ? null : activity
}
