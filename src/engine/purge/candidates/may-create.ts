import { readOne } from '../../../db/query.ts'
import type { Session } from '../../../db/session.ts'
import { sql } from '../../../sql/sql.ts'

/** A schema that does not exist yet will be ours. */
export async function mayCreateIn(session: Session, schema: string): Promise<boolean> {
  const { may } = await readOne<{ may: boolean }>(
    session,
    sql`select coalesce((select has_schema_privilege(oid, 'create') from pg_namespace where nspname = ${schema}), true) as may`,
  )
  return may
}
