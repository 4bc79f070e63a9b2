import type { ClientBase } from 'pg'
import { readAllPrepared } from '../../db/query.ts'
import { OUR_SETTINGS, type ConditionSettings } from '../../sql/condition-settings.ts'
import { sql } from '../../sql/sql.ts'

/**
 * The settings that the role has by itself in this database: those of the role,
 * the database, the server and the connection string. Our sessions have others.
 *
 * Two are not quite as they were: `$user` is a schema of the role that has made
 * the plan, whichever role resumes it; and times are always written out in the
 * ISO format, whatever the order in which dates are read.
 */
export async function readConditionSettings(session: ClientBase): Promise<ConditionSettings> {
  const rows = await readAllPrepared<{ name: string; value: string }>(
    session,
    sql`
    select name, case name
        when 'search_path' then regexp_replace(reset_val, '(^|,)\\s*"?\\$user"?\\s*(?=,|$)', '\\1 ' || replace(quote_ident(current_user), '\\', '\\\\'), 'g')
        when 'DateStyle' then regexp_replace(reset_val, '^[^,]*', 'ISO')
        else reset_val end as value
    from pg_settings where name = any (${Object.keys(OUR_SETTINGS)}::text[])`,
  )
  return Object.fromEntries(rows.map(({ name, value }) => [name, value.trim()]))
}
