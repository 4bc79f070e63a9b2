import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { at, journalExists } from '../../journal/journal.ts'
import { HELPER_NAME, type HelperIndex } from '../../plan/references/helper-index.ts'
import { raw, sql, type Sql } from '../../sql/sql.ts'

/** The helper indexes of no unfinished run that the journal knows. */
export function readLeftHelpers(session: Session, schema: string, hasJournal: boolean): Promise<HelperIndex[]> {
  return readLeft(session, schema, hasJournal, raw('true'))
}

/** Those of some tables, by oid. */
export async function readLeftHelpersOf(
  session: Session,
  schema: string,
  tables: readonly string[],
): Promise<HelperIndex[]> {
  const hasJournal = await journalExists(session, schema, 'look')
  return readLeft(session, schema, hasJournal, sql`i.indrelid = any (${tables}::oid[])`)
}

function readLeft(session: Session, schema: string, hasJournal: boolean, which: Sql): Promise<HelperIndex[]> {
  const known = hasJournal
    ? sql`exists (select from ${at(schema, 'run')} r, jsonb_array_elements(r.plan -> 'helpers') h
        where r.status = 'running' and h ->> 'index' = c.relname and h -> 'table' ->> 'schema' = n.nspname)`
    : raw('false')
  return readAll<HelperIndex>(
    session,
    sql`
    select json_build_object('schema', n.nspname, 'name', t.relname) as table, c.relname as index
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
      join pg_namespace n on n.oid = c.relnamespace
    where ${which} and c.relname ~ ${HELPER_NAME} and not ${known} order by n.nspname, c.relname`,
  )
}
