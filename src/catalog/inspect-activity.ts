import type { ClientBase } from 'pg'
import { readAll, readOne } from '../db/query.ts'
import type { TableName } from '../sql/names.ts'
import { quoted } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'

/** What PostgreSQL has counted of a table since its statistics were last reset. */
export interface Activity {
  readonly liveRows: number
  readonly deadRows: number
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  /** The latest of both kinds, by hand and by autovacuum; as text, or null for never. */
  readonly analyzedAt: string | null
  readonly vacuumedAt: string | null
}

/** A transaction that has been open for long. */
export interface LongTransaction {
  /** Null for a prepared one, which has no session. */
  readonly pid: number | null
  /** In words: application and role, or the prepared transaction's name. */
  readonly who: string
  readonly state: string
  readonly seconds: number
  /** It holds a lock on the table itself. */
  readonly onTable: boolean
}

/** Of a partitioned table: the sums over its partitions, and when it was analysed itself, which only happens by hand. */
export async function readActivity(client: ClientBase, table: TableName): Promise<Activity> {
  return readOne<Activity>(
    client,
    sql`
    select coalesce(sum(s.n_live_tup), 0)::float8 as "liveRows", coalesce(sum(s.n_dead_tup), 0)::float8 as "deadRows",
      coalesce(sum(s.n_tup_ins), 0)::float8 as inserted, coalesce(sum(s.n_tup_upd), 0)::float8 as updated,
      coalesce(sum(s.n_tup_del), 0)::float8 as deleted,
      max(greatest(s.last_analyze, s.last_autoanalyze)) filter (where s.relid = t.oid)::text as "analyzedAt",
      max(greatest(s.last_vacuum, s.last_autovacuum))::text as "vacuumedAt"
    from (select ${quoted(table).text}::regclass as oid) t, pg_stat_all_tables s
    where s.relid = t.oid or s.relid in (select relid from pg_partition_tree(t.oid))`,
  )
}

/** How long a transaction may last before it is worth a word. */
const LONG_SECONDS = 60

/**
 * Transactions that have been open for long, and prepared ones of any age:
 * those may have been forgotten. Sessions of other roles have no visible
 * age without pg_read_all_stats, and are left out.
 */
export async function readLongTransactions(
  client: ClientBase,
  table: TableName,
  longSeconds = LONG_SECONDS,
): Promise<LongTransaction[]> {
  return readAll<LongTransaction>(
    client,
    sql`
    select a.pid, concat_ws(', ', nullif(a.application_name, ''), a.usename::text) as who, a.state,
      extract(epoch from statement_timestamp() - a.xact_start)::float8 as seconds,
      exists (select from pg_locks l where l.pid = a.pid and l.granted and l.relation = ${quoted(table).text}::regclass) as "onTable"
    from pg_stat_activity a
    where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
      and a.xact_start < statement_timestamp() - make_interval(secs => ${longSeconds})
    union all
    select null, p.gid || ', ' || p.owner, 'prepared', extract(epoch from statement_timestamp() - p.prepared)::float8,
      -- In pg_locks a prepared transaction keeps the virtual number of the session that prepared it, without a pid;
      -- what ties the two views together is the lock that every transaction holds on its own number.
      exists (select from pg_locks x join pg_locks l on l.virtualtransaction = x.virtualtransaction and l.pid is null
              where x.locktype = 'transactionid' and x.transactionid = p.transaction and x.pid is null
              and l.relation = ${quoted(table).text}::regclass)
    from pg_prepared_xacts p where p.database = current_database()
    order by 4 desc limit 20`,
  )
}
