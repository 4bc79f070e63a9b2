import { setTimeout as sleep } from 'node:timers/promises'
import { IS_SLOT_OF_A_STANDBY } from '../../catalog/standbys.ts'
import { readAllPrepared, readOne } from '../../db/query.ts'
import { EbbError } from '../../errors.ts'
import { sql, type Sql } from '../../sql/sql.ts'
import { Standstill } from '../locks/standstill.ts'
import type { TableContext } from '../table-context.ts'

// A snapshot older than the last rows of the copy would miss rows in it, without an error: a REPEATABLE READ
// transaction, a dump, a running STABLE function, here or on a standby. Invariants:
//
//   - Transactions that began after those rows were committed are safe. While any older writer is open, all new
//     snapshots have its xmin, so the old transactions are determined once, and then only their end is waited for. An
//     exported snapshot (pg_export_snapshot) is identified by its age.
//   - A standby reports only the oldest snapshot there, and only from time to time (wal_receiver_status_interval), so
//     it is polled.

const FIRST_LOOK_AFTER_MS = 5
const LOOK_EVERY_MS = 250
/** Short statements need not be reported. */
const WORTH_TELLING_MS = 100

/** A transaction that would miss rows. */
interface OldSnapshot {
  /** Identifies it while the snapshot lasts. */
  readonly id: string
  readonly who: string
  /** Null on a standby. */
  readonly pid: number | null
  readonly xmin: string | null
  /** Counts even if it was not present at the first poll. */
  readonly always: boolean
}

/** Waits until no snapshot is older than this moment, for at most `mostMs`. Returns the remaining holders. */
export async function oldSnapshots(context: TableContext, mostMs: number): Promise<readonly string[]> {
  const { session, observer, signal } = context
  const began = performance.now()
  const { xid } = await readOne<{ xid: string }>(session, sql`select pg_current_xact_id()::text as xid`)
  const leaving = new Leaving(await readOld(context, xid))
  const standstill = new Standstill(context.control, context.lockLimits)
  for (let pauseMs = FIRST_LOOK_AFTER_MS; leaving.who.length > 0; pauseMs = Math.min(2 * pauseMs, LOOK_EVERY_MS)) {
    const waited = performance.now() - began
    if (waited > mostMs) break
    if (waited > WORTH_TELLING_MS)
      observer({
        type: 'waiting',
        reason: `for transactions that began before the last rows were copied and would miss rows after the swap: ${leaving.who.join('; ')}`,
      })
    await standstill.look(leaving.pids)
    await sleep(pauseMs, undefined, { signal })
    leaving.look(await readOld(context, xid))
  }
  return leaving.who
}

/** Those present at the first poll, while they last, and sessions that have imported one of their snapshots. */
class Leaving {
  who: readonly string[]
  pids: readonly (number | null)[]
  private first: readonly OldSnapshot[]
  private readonly followers = new Set<string>()

  constructor(first: readonly OldSnapshot[]) {
    this.first = first
    this.who = first.map(({ who }) => who)
    this.pids = first.map(({ pid }) => pid)
  }

  look(now: readonly OldSnapshot[]): void {
    const xmins = new Set(this.first.map(({ xmin }) => xmin))
    for (const { id, xmin } of now) if (xmin !== null && xmins.has(xmin)) this.followers.add(id)
    const ids = new Set(this.first.map(({ id }) => id))
    this.first = now.filter(({ id }) => ids.has(id))
    const left = now.filter(({ id, always }) => always || ids.has(id) || this.followers.has(id))
    this.who = left.map(({ who }) => who)
    this.pids = left.map(({ pid }) => pid)
  }
}

export function stillOld(who: readonly string[]): EbbError {
  return new EbbError(
    `transactions that began before the last rows were copied are still open: ${who.join('; ')}`,
    {
      state: 'The copy is complete and still kept up to date; the swap has not happened.',
      next: 'When they have ended, run the same command again.',
    },
    'try later',
  )
}

async function readOld({ control, pid }: TableContext, xid: string): Promise<OldSnapshot[]> {
  const limit = sql`(${xid}::bigint & 4294967295)::text::xid`
  return readAllPrepared<OldSnapshot>(
    control,
    sql`
    select concat_ws(' ', a.pid, coalesce(l.virtualtransaction, a.backend_xmin::text)) as id,
      format('pid %s (%s)%s', a.pid, coalesce(nullif(a.application_name, ''), 'no application name'),
        case when a.state is not null then format(', %s for %s s', a.state, extract(epoch from clock_timestamp() - a.xact_start)::int) else '' end) as who,
      a.pid, a.backend_xmin::text as xmin, a.application_name = 'pg_dump' as always
    from pg_stat_activity a
    left join pg_locks l on l.pid = a.pid and l.locktype = 'virtualxid' and l.mode = 'ExclusiveLock' and l.granted
    where a.datname = current_database() and a.pid <> ${pid} and a.pid <> pg_backend_pid()
      -- Without a user: an autovacuum. What decodes for REPACK (CONCURRENTLY), of 19, reads no table.
      and a.usesysid is not null and a.backend_type is distinct from ${REPACKS}
      and (a.application_name = 'pg_dump'
        or a.backend_xmin is not null and age(a.backend_xmin) > age(${limit}) and not ${readsOneTableOnly()})
    union all
    select 'slot ' || slot_name, format('a reader on the standby of replication slot %s (hot_standby_feedback), or an older transaction here that has written', slot_name), null, null, true
    from pg_replication_slots where ${IS_SLOT_OF_A_STANDBY} and active and age(xmin) > age(${limit})
    union all
    select 'standby ' || r.pid, format('a reader on standby %s (hot_standby_feedback), or an older transaction here that has written', coalesce(nullif(r.application_name, ''), 'of pid ' || r.pid)), null, null, true
    from pg_stat_replication r join pg_stat_activity a on a.pid = r.pid and a.datid is null
    where age(r.backend_xmin) > age(${limit})`,
  )
}

const REPACKS = 'REPACK decoding worker'

/**
 * Commands that read only one table, in a transaction of their own: they do not delay the swap of another table.
 * Sessions of other roles are only partly visible; commands that cannot run in a transaction block are identified by
 * name or by their locks.
 */
function readsOneTableOnly(): Sql {
  const holds = (mode: string) =>
    sql`exists (select from pg_locks h where h.pid = a.pid and h.locktype = 'relation' and h.mode = ${mode})`
  return sql`(
    a.pid in (select pid from pg_stat_progress_vacuum)
    or a.pid in (select pid from pg_stat_progress_create_index) and not ${holds('ShareLock')}
    or a.pid in (select leader_pid from pg_stat_activity where backend_type = ${REPACKS})
    or a.xact_start = a.query_start and a.pid in (
      select pid from pg_stat_progress_analyze union all select pid from pg_stat_progress_create_index union all select pid from pg_stat_progress_cluster))`
}
