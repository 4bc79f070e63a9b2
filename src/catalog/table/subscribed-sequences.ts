import { readAllPrepared } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import type { TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

/** The sequence of an identity column, and the subscriptions that bring its value (from 19 on). */
export interface SubscribedSequence {
  readonly name: TableName
  readonly subscriptions: readonly string[]
}

/** Those of a table. */
export function readSubscribedSequences(session: Session, { schema, name }: TableName): Promise<SubscribedSequence[]> {
  return readAllPrepared<SubscribedSequence>(
    session,
    sql`
    select json_build_object('schema', sn.nspname, 'name', s.relname) as name, array_agg(b.subname::text order by b.subname) as subscriptions
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.classid = 'pg_class'::regclass and d.deptype = 'i'
    join pg_class s on s.oid = d.objid and s.relkind = 'S' join pg_namespace sn on sn.oid = s.relnamespace
    join pg_subscription_rel r on r.srrelid = s.oid join pg_subscription b on b.oid = r.srsubid
    where n.nspname = ${schema} and c.relname = ${name}
    group by sn.nspname, s.relname order by sn.nspname, s.relname`,
  )
}
