import { createHash } from 'node:crypto'
import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import type { TableName } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'
import { REFERS_TO } from '../references/foreign-key.ts'
import { COLUMN_DEFAULT } from './json-parts.ts'

/** A digest of the definition of a table and of what refers to it: it changes when any of that does. */
export async function readDefinition(session: Session, table: TableName): Promise<{ oid: string; digest: string }> {
  const lines = await readAll<{ oid: string; line: string }>(
    session,
    sql`
    with t as (
      select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${table.schema} and c.relname = ${table.name})
    select t.oid::text as oid, line from t, lateral (
      select format('column %s %s %s %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
          a.attgenerated, ${raw(COLUMN_DEFAULT('a', 'd'))}) as line
        from pg_attribute a left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
      union all select format('constraint %s on %s %s', c.conname, c.conrelid::regclass, pg_get_constraintdef(c.oid))
        from pg_constraint c where c.conrelid = t.oid
      union all select format('constraint %s on %s %s', c.conname, c.conrelid::regclass, pg_get_constraintdef(c.oid))
        from pg_constraint c where ${raw(REFERS_TO('t.oid', 'c'))} and c.conrelid <> t.oid
      union all select format('index %s', pg_get_indexdef(i.indexrelid)) from pg_index i where i.indrelid = t.oid
      union all select format('trigger %s %s', pg_get_triggerdef(g.oid), g.tgenabled)
        from pg_trigger g where g.tgrelid = t.oid and not g.tgisinternal
      union all select format('rule %s', pg_get_ruledef(r.oid)) from pg_rewrite r where r.ev_class = t.oid
      union all select format('policy %s %s %s %s %s', p.polname, p.polcmd, p.polroles::text,
          pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
        from pg_policy p where p.polrelid = t.oid
    ) as described
    order by line collate "C"`,
  )
  const hash = createHash('sha256')
  for (const { line } of lines) hash.update(`${line}\n`)
  return { oid: lines[0]?.oid ?? '', digest: hash.digest('hex') }
}
