import { readAll } from '../../db/query.ts'
import type { Holder } from '../../db/holders.ts'
import type { Session } from '../../db/session.ts'
import type { TableName } from '../../sql/names.ts'
import { literal, sql, type Sql } from '../../sql/sql.ts'

/**
 * The holders of locks on these tables, and on shards of them, on the workers of a Citus cluster. Those of statements that
 * came by the coordinator hold a lock there, too; who is connected to a worker does not. A worker that does not answer has
 * none that matter: what is to be done on it fails, and says so.
 */
export function readHoldersOnWorkers(session: Session, tables: readonly TableName[]): Promise<Holder[]> {
  return readHoldersOn(session, sql`run_command_on_workers(${onNode(tables)})`)
}

/** The same on all nodes: the coordinator may have shards, too. */
export function readHoldersOnNodes(session: Session, tables: readonly TableName[]): Promise<Holder[]> {
  return readHoldersOn(session, sql`run_command_on_all_nodes(${onNode(tables)}) join pg_dist_node using (nodeid)`)
}

async function readHoldersOn(session: Session, answers: Sql): Promise<Holder[]> {
  const rows = await readAll<{ node: string; holders: readonly Holder[] | null }>(
    session,
    sql`select concat(nodename, ':', nodeport) as node, case when success then result::json end as holders from ${answers}`,
  )
  return rows.flatMap(({ node, holders }) =>
    (holders ?? []).map((holder) => ({ ...holder, node, transaction: `${node} ${holder.transaction}` })),
  )
}

// A node knows the tables by the same names; its shards are not seen in pg_class by those who do not ask for them by name.
function onNode(tables: readonly TableName[]): string {
  const names = tables.map(({ schema, name }) => `(${literal(schema).text}, ${literal(name).text})`).join(', ')
  return `
    with t as (select c.oid, v.schema, v.name from (values ${names}) v (schema, name)
        join pg_namespace n on n.nspname = v.schema join pg_class c on c.relnamespace = n.oid and c.relname = v.name),
      r as (select oid, schema, name from t
        union all select to_regclass(shard_name(s.logicalrelid, s.shardid))::oid, t.schema, t.name from t join pg_dist_shard s on s.logicalrelid = t.oid)
    select coalesce(json_agg(json_build_object('transaction', l.virtualtransaction, 'pid', l.pid, 'mode', l.mode,
        'table', json_build_object('schema', r.schema, 'name', r.name), 'application', a.application_name, 'user', a.usename,
        'backend', a.backend_type, 'state', a.state, 'query', left(regexp_replace(a.query, '\\s+', ' ', 'g'), 120),
        'seconds', extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8, 'gid', p.gid)), '[]')
    from pg_locks l join r on r.oid = l.relation left join pg_stat_activity a on a.pid = l.pid
      left join pg_locks own on l.pid is null and own.pid is null and own.locktype = 'transactionid' and own.granted and own.virtualtransaction = l.virtualtransaction
      left join pg_prepared_xacts p on p.transaction = own.transactionid
    where l.locktype = 'relation' and l.granted and l.pid is distinct from pg_backend_pid()
      and l.database = (select oid from pg_database where datname = current_database())`
}
