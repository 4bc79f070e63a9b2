import { readOne, type Session } from '../../db/session.ts'
import type { RebuildSummary } from '../../plan/rebuild.ts'
import { quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

/** Whether the former table is still there; another table may have been given its name since. */
export async function isRetiredThere(session: Session, { retired, sourceOid }: RebuildSummary): Promise<boolean> {
  const { there } = await readOne<{ there: boolean }>(
    session,
    sql`select to_regclass(${quoted(retired).text})::oid is not distinct from ${sourceOid}::oid as there`,
  )
  return there
}
