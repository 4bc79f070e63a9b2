import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { at, journalExists } from '../../journal/journal.ts'
import { allBegunRetirements } from '../../journal/rotations.ts'
import type { TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { readLeftBehind } from './left-behind.ts'

/**
 * The tables outside of the journal that Ebb keeps for itself: the retired tables of copies, the new tables of unfinished ones, and partitions
 * that were detached and wait to be dropped.
 */
export async function readOwnTables(session: Session, journalSchema: string): Promise<TableName[]> {
  if (!(await journalExists(session, journalSchema))) return []
  const left = await readLeftBehind(session, journalSchema)
  const retirements = await allBegunRetirements(session, journalSchema)
  return [
    // Whoever has renamed a retired table wants to keep it.
    ...left.flatMap(({ retired, renamed }) => (retired === null || renamed ? [] : [retired])),
    ...retirements.flatMap(({ state, called }) => (state === 'detached' ? [called] : [])),
    ...(await readUnfinished(session, journalSchema)),
  ]
}

/** The new table of an unfinished copy; after its swap, the retired one. */
function readUnfinished(session: Session, schema: string): Promise<TableName[]> {
  return readAll<TableName>(
    session,
    sql`
    select n.nspname as schema, c.relname as name
    from ${at(schema, 'run')} r
    -- A journal that an earlier version has brought up to date last has none of these columns.
    cross join lateral jsonb_to_record(to_jsonb(r)) l (shadow_oid oid, source_oid oid)
    join pg_class c on c.oid in (l.shadow_oid, l.source_oid) join pg_namespace n on n.oid = c.relnamespace
    where r.status = 'running' and (n.nspname, c.relname) <> (r.schema_name, r.table_name)`,
  )
}
