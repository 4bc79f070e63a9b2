import { readRelationSizes, type RelationSize } from '../../catalog/table/relation-size.ts'
import { inSnapshot, readAll, withSession, type Session, type Target } from '../../db/session.ts'
import { at, journalExists } from '../../journal/journal.ts'
import { sameName, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { EngineOptions } from '../options.ts'

// What copies leave behind: tables as they were, kept for the way back.

/** A retired table that is still there, and the finished run that has put it aside. */
export interface RetiredTable {
  readonly runId: string
  readonly command: string
  /** The table that has taken its place. */
  readonly table: TableName
  readonly retired: RelationSize
  readonly since: Date
  /** When it goes by itself; null where nobody has asked for that. */
  readonly goesAt: Date | null
  /** Whether that time has come, by the server's clock. */
  readonly due: boolean
}

/** The retired tables that `retire` would let go, the oldest first. */
export async function retirable(
  target: Target,
  { journalSchema }: Pick<EngineOptions, 'journalSchema'>,
): Promise<RetiredTable[]> {
  return withSession(target, 'look for retired tables', (session) =>
    inSnapshot(session, async () => {
      if (!(await journalExists(session, journalSchema))) return []
      const kept = await readKept(session, journalSchema)
      const sizes = await readRelationSizes(
        session,
        kept.map(({ retired }) => retired),
      )
      return kept.flatMap((run) => {
        const retired = sizes.find(({ name }) => sameName(name, run.retired))
        return retired === undefined ? [] : [{ ...run, retired }]
      })
    }),
  )
}

/** How large tables are now; those that are gone are left out. */
export async function sizesOf(target: Target, tables: readonly TableName[]): Promise<RelationSize[]> {
  return withSession(target, 'look', (session) => inSnapshot(session, () => readRelationSizes(session, tables)))
}

interface Kept extends Omit<RetiredTable, 'retired'> {
  readonly retired: TableName
}

/** Another table may have been given the name since: the oid tells. */
async function readKept(session: Session, schema: string): Promise<Kept[]> {
  return readAll<Kept>(
    session,
    sql`
    select id::text as "runId", command, json_build_object('schema', schema_name, 'name', table_name) as table,
      json_build_object('schema', n.nspname, 'name', c.relname) as retired, ended_at as since,
      ended_at + l.retire_after as "goesAt", coalesce(ended_at + l.retire_after <= clock_timestamp(), false) as due
    from ${at(schema, 'run')} r
    -- A journal that an earlier version has brought up to date last has none of these columns.
    cross join lateral jsonb_to_record(to_jsonb(r)) l (source_oid oid, retired_schema text, retired_name text, retire_after interval)
    join pg_class c on c.oid = l.source_oid join pg_namespace n on n.oid = c.relnamespace
    where status = 'done' and n.nspname = l.retired_schema and c.relname = l.retired_name
    order by id`,
  )
}
