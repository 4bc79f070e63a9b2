import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'
import { PUBLISHED, type Published } from './published.ts'
import { DISABLED_CONSTRAINTS, FIRED_BY, type DisabledConstraint } from '../references/disabled-constraints.ts'

/** What could keep rows of a table from being updated as they are meant to be. */
export interface MarkFacts {
  readonly name: TableName
  /** Rules that rewrite an update. */
  readonly rules: readonly string[]
  /** Foreign keys that do not check an updated row, because their triggers are disabled. */
  readonly disabledConstraints: readonly DisabledConstraint[]
  readonly published: Published
  /** Triggers that fire for an updated row. */
  readonly triggers: readonly string[]
}

const disabled = raw(DISABLED_CONSTRAINTS('t.tgrelid = c.oid', FIRED_BY.update))

/** In the order of the names. */
export async function readMarkFacts(session: Session, names: readonly TableName[]): Promise<MarkFacts[]> {
  return readAll<MarkFacts>(
    session,
    sql`
    select json_build_object('schema', n.nspname, 'name', c.relname) as name,
      array(select r.rulename::text from pg_rewrite r where r.ev_class = c.oid and r.ev_type = '2' and r.ev_enabled <> 'D') as rules,
      array(select t.tgname::text from pg_trigger t
            where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 16 <> 0 order by 1) as triggers,
      ${disabled} as "disabledConstraints",
      ${raw(PUBLISHED('c', 'n'))} as published
    from unnest(${names.map((name) => quoted(name).text)}::text[]) with ordinality w (name, place)
    join pg_class c on c.oid = w.name::regclass join pg_namespace n on n.oid = c.relnamespace order by w.place`,
  )
}
