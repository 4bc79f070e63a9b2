import { readOne, type Session } from '../db/session.ts'
import { sql } from '../sql/sql.ts'

/** The search path that the role would have by itself: conditions are written under it, our sessions have none. */
export async function readSearchPath(session: Session): Promise<string> {
  const { path } = await readOne<{ path: string }>(
    session,
    sql`select reset_val as path from pg_settings where name = 'search_path'`,
  )
  return path
}
