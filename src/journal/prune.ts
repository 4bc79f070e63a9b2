import type { ClientBase } from 'pg'
import { raw, sql, type Sql } from '../sql/sql.ts'
import { at } from './journal.ts'

// The journal must not grow for ever. Finished runs are deleted after a good year, except:
//
//   - the latest run of each command on a table: it tells the same command that there is nothing to do, and a
//     conversion can be rolled back;
//   - every run of a table with an unfinished one, which may be undoing another;
//   - a copy whose retired table or log still exists: rollback and retire need it;
//   - a candidate set that has not been dropped;
//   - a run of a migration file that is applied: its `down` rolls it back;
//   - of the partitions removed from a table, the last: a rollback must know that there were any;
//   - whatever is about a table for which a longer time has been asked for.

/** A year, plus some time for a review. */
export const KEPT_DAYS = 400
/** A frequent job prunes one run each time; the first after a long time must not take long. */
const RUNS_AT_ONCE = 100

/** Prunes old runs in one short statement, which several commands may execute concurrently. */
export async function pruneJournal(session: ClientBase, schema: string): Promise<void> {
  const [run, rotation, capture] = [at(schema, 'run'), at(schema, 'rotation'), at(schema, 'capture')]
  const old = sql`clock_timestamp() - make_interval(days => ${KEPT_DAYS})`
  const keptLonger = (since: Sql) =>
    sql`exists (select from ${at(schema, 'journal_retention')} kept where ${SAME_TABLE('kept')} and ${since} >= clock_timestamp() - kept.keep)`
  await session.query(sql`
    with over as (
      select id from ${run} r where status <> 'running' and ended_at < ${old} and not ${keptLonger(sql`r.ended_at`)}
        and exists (select from ${run} later where ${SAME_TABLE('later')} and later.command = r.command and later.id > r.id)
        and not exists (select from ${run} going where ${SAME_TABLE('going')} and going.status = 'running')
        and not (status = 'done'
          and exists (select from pg_class where oid = source_oid))
        and not exists (select from ${capture} c join pg_class l on l.relname = c.log_name join pg_namespace n on n.oid = l.relnamespace
          where c.run_id = r.id and n.nspname = ${schema})
        and not exists (select from ${at(schema, 'candidate_set')} c where c.run_id = r.id)
        and not exists (select from ${at(schema, 'migration_call')} c where c.run_id = r.id)
      order by ended_at limit ${RUNS_AT_ONCE} for update skip locked
    ), runs as (
      delete from ${run} where id in (select id from over)
    ), rotations as (
      delete from ${rotation} r where r.at < ${old} and not ${keptLonger(sql`r.at`)} and (action not in ${REMOVALS}
        or exists (select from ${rotation} later where ${SAME_TABLE('later')} and later.at > r.at and later.action in ${REMOVALS}))
    ), writes as (
      delete from ${at(schema, 'archived_write')} w where not exists (select from pg_class where oid = w.relation_oid)
    ), holds as (
      delete from ${at(schema, 'hold')} where until < ${old}
    ), closed_partitions as (
      delete from ${at(schema, 'closed_partition')} p where not exists (select from pg_class where oid = p.partition_oid)
    )
    delete from ${at(schema, 'truncation')} t where not exists (select from ${capture} c where c.log_name = t.log_name)`)
}

const REMOVALS = raw(`('detached', 'dropped', 'truncated', 'moved')`)

const SAME_TABLE = (other: string) => raw(`${other}.schema_name = r.schema_name and ${other}.table_name = r.table_name`)
