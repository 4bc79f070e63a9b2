import type { ClientBase } from 'pg'
import { readOnePrepared } from '../../db/query.ts'
import { sql } from '../../sql/sql.ts'

/**
 * Active sessions on the whole server, without our own. Null if this role may not see the activity of others: a
 * partial count would look like a complete one.
 */
export async function readActive(session: ClientBase, application: string): Promise<number | null> {
  const { active, hidden } = await readOnePrepared<{ active: number; hidden: boolean }>(
    session,
    sql`
    select count(*) filter (where state in ('active', 'fastpath function call') and backend_type = 'client backend')::int as active,
      coalesce(bool_or(usesysid is not null and backend_type is null), false) as hidden
    from pg_stat_activity where application_name is distinct from ${application}`,
  )
  return hidden ? null : active
}
