import { readOne, type Session } from '../../db/session.ts'
import type { RetiredTable } from '../../journal/journal.ts'
import { quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

/** Whether a retired table is still there; another one may have been given its name since. */
export async function isThere(session: Session, { name, oid }: RetiredTable): Promise<boolean> {
  const { there } = await readOne<{ there: boolean }>(
    session,
    sql`select to_regclass(${quoted(name).text})::oid is not distinct from ${oid}::oid as there`,
  )
  return there
}
