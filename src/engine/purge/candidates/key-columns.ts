import { TELLABLE } from '../../../catalog/table/json-parts.ts'
import type { TableModel } from '../../../catalog/table/table-model.ts'
import { readAll } from '../../../db/query.ts'
import type { Session } from '../../../db/session.ts'
import { copyKeyOf } from '../../../plan/copy/key.ts'
import type { KeyWalkColumn } from '../../../plan/purge/work.ts'
import { quoted } from '../../../sql/names.ts'
import { orderingOf } from '../../../sql/operators.ts'
import { raw, sql } from '../../../sql/sql.ts'

/**
 * The columns by which a row of the table is found again, in the order of their index; null where there are none, or
 * their order is not that of their types: an index over copies of them would have another. Nor where their values cannot be sent.
 */
export async function readKeyColumns(session: Session, table: TableModel): Promise<KeyWalkColumn[] | null> {
  const key = copyKeyOf(table)
  if (key === null) return null
  const columns = await readAll<KeyWalkColumn & { readonly usual: boolean }>(
    session,
    sql`
    select a.attname::text as name, quote_ident(n.nspname) || '.' || quote_ident(t.typname) as type, ${raw(orderingOf('oc'))} as operators, oc.opcdefault and ${raw(TELLABLE('a'))} as usual
    from pg_index i join pg_class x on x.oid = i.indexrelid and x.relname = ${key.index}
    cross join unnest(i.indkey::int2[], i.indclass::oid[]) with ordinality k (num, class, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.num join pg_opclass oc on oc.oid = k.class
    join pg_type t on t.oid = a.atttypid join pg_namespace n on n.oid = t.typnamespace
    where i.indrelid = ${quoted(table.name).text}::regclass and k.place <= i.indnkeyatts order by k.place`,
  )
  if (columns.some(({ usual }) => !usual)) return null
  return columns.map(({ name, type, operators }) => ({ name, type, operators }))
}
