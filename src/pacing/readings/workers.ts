import type { ClientBase } from 'pg'
import { readAll } from '../../db/query.ts'
import { sql } from '../../sql/sql.ts'
import type { BlockedSession, Reading, ReplicaLag, SlotWal } from '../reading.ts'

/** What the workers of a Citus cluster show of themselves. */
export interface WorkerReading {
  /** `10.0.0.5:5432`. */
  readonly node: string
  /** Null where it does not answer. */
  readonly load: WorkerLoad | null
}

interface WorkerLoad {
  readonly blocked: readonly BlockedSession[]
  readonly replica: ReplicaLag | null
  readonly slot: SlotWal | null
  readonly active: number | null
}

/**
 * One query to each worker, in parallel. What a session of ours does there has the global number of the one on the
 * coordinator in its application_name.
 */
export function readWorkers(session: ClientBase, application: string): Promise<WorkerReading[]> {
  return readAll<WorkerReading>(
    session,
    sql`
    select concat(nodename, ':', nodeport) as node, case when success then result::json end as load
    from run_command_on_workers(replace(${LOAD}, 'OURS', (
      select coalesce(quote_literal(array_agg(concat('citus_internal gpid=', citus_calculate_gpid(citus_nodeid_for_gpid(citus_backend_gpid()), pid)))::text), quote_literal('{}'))
      from pg_stat_activity where application_name = ${application} and datname = current_database())))`,
  )
}

// Slots of physical replicas and of subscribers; a shard that is being moved has one, too.
const LOAD = `
  with ours as (select array_agg(pid) as pids from pg_stat_activity where application_name = any (OURS::text[])),
    waiting as (select pid, min(waitstart) as since from pg_locks where not granted group by pid)
  select json_build_object(
    'blocked', coalesce((select json_agg(json_build_object('pid', w.pid, 'since', coalesce(w.since::text, ''),
        'milliseconds', coalesce(greatest(extract(epoch from clock_timestamp() - w.since) * 1000, 0), 0)::float8))
      from waiting w, ours where w.pid <> all (coalesce(ours.pids, '{}')) and pg_blocking_pids(w.pid) && ours.pids), '[]'),
    'replica', (select json_build_object('name', coalesce(nullif(r.application_name, ''), 'pid ' || r.pid),
        'bytes', greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(r.replay_lsn, r.flush_lsn, r.write_lsn, s.restart_lsn)))::float8,
        'seconds', extract(epoch from r.replay_lag)::float8)
      from pg_stat_replication r left join pg_replication_slots s on s.active_pid = r.pid
      where r.state is distinct from 'backup' and s.slot_type is distinct from 'logical'
      order by pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(r.replay_lsn, r.flush_lsn, r.write_lsn, s.restart_lsn)) desc nulls last limit 1),
    'slot', (select json_build_object('name', slot_name, 'bytes', greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::float8)
      from pg_replication_slots where restart_lsn is not null order by pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) desc limit 1),
    'active', (select case when not coalesce(bool_or(usesysid is not null and backend_type is null), false) then count(*) filter (where state = 'active' and backend_type = 'client backend') end
      from pg_stat_activity, ours where pid <> pg_backend_pid() and pid <> all (coalesce(ours.pids, '{}'))))`

/** The reading of the whole cluster: for each figure that of the node that is worst off, with its name. Pure. */
export function worstOf(reading: Reading, workers: readonly WorkerReading[]): Reading {
  const loads = workers.flatMap(({ node, load }) => (load === null ? [] : [{ node, ...load }]))
  const silent = workers.filter(({ load }) => load === null).map(({ node }) => node)
  const missing = silent.length === 0 ? {} : { 'blocked sessions': `${silent.join(', ')} does not answer` }
  const named = <T extends { readonly name: string }>(of: T | null, node: string): T[] =>
    of === null ? [] : [{ ...of, name: `${of.name} of ${node}` }]
  return {
    ...reading,
    blocked: [...(reading.blocked ?? []), ...loads.flatMap(({ blocked }) => blocked)],
    replica: largest([...listed(reading.replica), ...loads.flatMap(({ replica, node }) => named(replica, node))]),
    slot: largest([...listed(reading.slot), ...loads.flatMap(({ slot, node }) => named(slot, node))]),
    active: most([reading.active, ...loads.map(({ active }) => active)]),
    missing: { ...reading.missing, ...missing },
  }
}

function listed<T>(one: T | null): T[] {
  return one === null ? [] : [one]
}

function largest<T extends { readonly bytes: number }>(all: readonly T[]): T | null {
  return [...all].sort((a, b) => b.bytes - a.bytes)[0] ?? null
}

/** Null where one is not known: a part of them would look like all. */
function most(counts: readonly (number | null)[]): number | null {
  return counts.includes(null) ? null : Math.max(...counts.map((count) => count ?? 0))
}
