import type { TableModel } from '../catalog/table-model.ts'
import { readAll, type Session } from '../db/session.ts'
import { copyKeyOf } from '../plan/copy-key.ts'
import type { KeyWalkColumn } from '../plan/purge-work.ts'
import { quoted } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'

/** The columns by which a row of the table is found again, in the order of their index; null where there are none. */
export async function readKeyColumns(session: Session, table: TableModel): Promise<KeyWalkColumn[] | null> {
  const key = copyKeyOf(table)
  if (key === null) return null
  const names = key.columns.map(({ name }) => name)
  return readAll<KeyWalkColumn>(
    session,
    sql`
    select a.attname::text as name, quote_ident(n.nspname) || '.' || quote_ident(t.typname) as type
    from unnest(${names}::text[]) with ordinality k (name, place)
    join pg_attribute a on a.attname = k.name and a.attrelid = ${quoted(table.name).text}::regclass
    join pg_type t on t.oid = a.atttypid join pg_namespace n on n.oid = t.typnamespace order by k.place`,
  )
}
