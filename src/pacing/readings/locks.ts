import type { ClientBase } from 'pg'
import { readAllPrepared } from '../../db/query.ts'
import { raw, sql, type Sql } from '../../sql/sql.ts'
import type { TableName } from '../../sql/names.ts'
import type { BlockedSession, Vacuum } from '../reading.ts'

/**
 * The sessions of a run, identified by their common application_name. Every role may see names and pids of sessions.
 */
function ours(application: string): Sql {
  return sql`array(select pid from pg_stat_activity where application_name = ${application} and datname = current_database())`
}

/**
 * Sessions waiting for locks of the run, directly or behind others. `pg_blocking_pids` briefly blocks the lock
 * manager, so it is called for waiters only.
 */
export async function readBlocked(session: ClientBase, application: string): Promise<BlockedSession[]> {
  return readAllPrepared<BlockedSession>(
    session,
    sql`
    with waiting as materialized (
      select pid, min(waitstart) as since from pg_locks where not granted and pid <> all (${ours(application)}) group by pid
    )
    select pid, coalesce(since::text, '') as since,
      coalesce(greatest(extract(epoch from clock_timestamp() - since) * 1000, 0), 0)::float8 as milliseconds
    from waiting where pg_blocking_pids(pid) && ${ours(application)}
    order by since`,
  )
}

/**
 * Whether a vacuum holds one of the tables or their partitions. Without privileges an autovacuum is an anonymous lock
 * holder; on a table past its freeze age it can only be one to prevent wraparound. Null if a holder is ambiguous
 * (docs/postgres-facts.md, Locks).
 */
export async function readVacuum(
  session: ClientBase,
  application: string,
  tables: readonly TableName[],
): Promise<Vacuum | null> {
  const [row] = await readAllPrepared<{ found: Vacuum | 'hidden' }>(
    session,
    sql`
    with roots as (
      select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
      join unnest(${tables.map(({ schema }) => schema)}::text[], ${tables.map(({ name }) => name)}::text[]) t (schema, name)
        on t.schema = n.nspname and t.name = c.relname
    ), holder as (
      select l.pid, l.relation from pg_locks l
      where l.locktype = 'relation' and l.granted and l.mode = 'ShareUpdateExclusiveLock' and l.pid <> all (${ours(application)})
        and l.database = (select oid from pg_database where datname = current_database())
        and (l.relation in (select oid from roots)
          or exists (select from pg_partition_ancestors(l.relation) a join roots on roots.oid = a.relid))
    ), seen as (
      select case
        when a.backend_type = 'autovacuum worker' and a.query like '%to prevent wraparound%' then 'wraparound'
        when a.backend_type is null and age(c.relfrozenxid) > current_setting('autovacuum_freeze_max_age')::int then 'wraparound'
        when a.backend_type = 'autovacuum worker' or p.pid is not null then 'vacuum'
        when a.backend_type is null then 'hidden'
        else 'none' end as what
      from holder h join pg_class c on c.oid = h.relation
      left join pg_stat_activity a on a.pid = h.pid
      left join pg_stat_progress_vacuum p on p.pid = h.pid
    )
    select ${raw("coalesce((select what from seen order by array_position(array['wraparound', 'vacuum', 'hidden', 'none'], what) limit 1), 'none')")} as found`,
  )
  return row === undefined || row.found === 'hidden' ? null : row.found
}
