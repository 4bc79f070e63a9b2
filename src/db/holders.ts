import type { ClientBase } from 'pg'
import { readAllPrepared } from './query.ts'
import { display, type TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'

/** A session, autovacuum or prepared transaction that holds a lock we would have to wait for. */
export interface Holder {
  /** Identifies the transaction while it lasts. */
  readonly transaction: string
  readonly pid: number | null
  readonly mode: string
  readonly table: TableName
  readonly application: string | null
  readonly user: string | null
  readonly backend: string | null
  readonly state: string | null
  readonly query: string | null
  readonly seconds: number | null
  /** The identifier of a prepared transaction. */
  readonly gid: string | null
  /** The worker of a Citus cluster that it is on; not given here. */
  readonly node?: string
}

/**
 * The holders of locks on these tables, as far as this role may see. `pg_locks` can be read by every role; the query
 * and age of other roles' sessions need pg_read_all_stats (docs/postgres-facts.md, Locks). A prepared transaction
 * keeps the virtual id of the session that prepared it, and holds a lock on its own transaction id. The oldest come first, and
 * before them those whose age is hidden. On a standby nothing but replay (the startup process) holds ACCESS EXCLUSIVE.
 */
export async function readHolders(
  session: ClientBase,
  tables: readonly TableName[],
  exceptPid: number,
): Promise<Holder[]> {
  return readAllPrepared<Holder>(
    session,
    sql`
    select l.virtualtransaction as transaction, l.pid, l.mode, json_build_object('schema', n.nspname, 'name', c.relname) as table,
      a.application_name as application, a.usename::text as user, a.state,
      case when pg_is_in_recovery() and l.mode = 'AccessExclusiveLock' then 'startup' else a.backend_type end as backend,
      left(regexp_replace(a.query, '\\s+', ' ', 'g'), 120) as query,
      extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8 as seconds, p.gid
    from pg_locks l
    join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
    join unnest(${tables.map(({ schema }) => schema)}::text[], ${tables.map(({ name }) => name)}::text[]) t (schema, name)
      on t.schema = n.nspname and t.name = c.relname
    left join pg_stat_activity a on a.pid = l.pid
    left join pg_locks own on l.pid is null and own.pid is null and own.locktype = 'transactionid' and own.granted
      and own.virtualtransaction = l.virtualtransaction
    left join pg_prepared_xacts p on p.transaction = own.transactionid
    where l.locktype = 'relation' and l.granted and l.pid is distinct from ${exceptPid}
      and l.database = (select oid from pg_database where datname = current_database())
    order by seconds desc nulls first`,
  )
}

/** `pid 4711 (psql, bob), idle in transaction for 12 s: select …`. */
export function describeHolder(holder: Holder): string {
  const age = holder.seconds === null ? '' : ` for ${Math.round(holder.seconds)} s`
  const node = holder.node === undefined ? '' : ` on ${holder.node}`
  if (holder.gid !== null)
    return `prepared transaction ${JSON.stringify(holder.gid)}${age} on ${display(holder.table)}${node} (${howItEnds(holder)})`
  const who = [holder.application, holder.user].filter((part) => part !== null && part !== '').join(', ')
  const pid = `pid ${holder.pid}${node}${who === '' ? '' : ` (${who})`}`
  if (isAntiWraparound(holder)) return `${pid}, an autovacuum to prevent wraparound${age}, which has to finish`
  if (holder.backend === 'autovacuum worker') return `${pid}, an autovacuum${age}`
  if (holder.backend === 'startup') return `${pid}, the replay on this standby of a lock that is held on the primary`
  const hidden = holder.query === null || holder.query === '<insufficient privilege>'
  const doing = hidden
    ? `holding ${holder.mode} (its query is hidden from this role)`
    : `${holder.state}${age}: ${holder.query}`
  return `${pid}, ${doing}`
}

/** What Citus has prepared on a node before its coordinator was lost, it ends by itself. */
function howItEnds({ node, gid }: Holder): string {
  if (node !== undefined && gid?.startsWith('citus_') === true) return 'Citus ends it by itself, within a minute'
  return 'end it with commit prepared or rollback prepared'
}

function isAntiWraparound({ backend, query }: Holder): boolean {
  return backend === 'autovacuum worker' && query !== null && query.includes('to prevent wraparound')
}
