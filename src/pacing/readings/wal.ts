import type { ClientBase } from 'pg'
import { readAllPrepared, readOne, readOnePrepared } from '../../db/query.ts'
import { sql } from '../../sql/sql.ts'
import type { ReplicaLag, SlotWal } from '../reading.ts'

/** The current WAL position, in bytes. Some services do not show it. */
export async function readWalPosition(session: ClientBase): Promise<number> {
  const { bytes } = await readOne<{ bytes: number }>(
    session,
    sql`select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as bytes`,
  )
  return bytes
}

/** The number of replicas, and the lag of the slowest; null if it is not visible. */
export interface Replicas {
  readonly replica: ReplicaLag | null
  /** Replicas whose replay position this role may not see. */
  readonly masked: number
  /** Those of which nothing is visible. */
  readonly unknown: number
}

/**
 * Physical replicas only. A logical subscriber confirms whenever it likes, on an idle table perhaps never: its cost
 * shows at its slot. In bytes, because `replay_lag` is stale for seconds and null on an idle server.
 *
 * Without pg_read_all_stats the rows of pg_stat_replication are empty; then the slot of a replica shows what it has
 * received, though not what it has replayed.
 */
export async function readReplicas(session: ClientBase): Promise<Replicas> {
  const rows = await readAllPrepared<{ name: string; bytes: number | null; seconds: number | null; masked: boolean }>(
    session,
    sql`
    select coalesce(nullif(r.application_name, ''), 'pid ' || r.pid) as name,
      pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(r.replay_lsn, r.flush_lsn, r.write_lsn, s.restart_lsn))::float8 as bytes,
      extract(epoch from r.replay_lag)::float8 as seconds, r.state is null as masked
    from pg_stat_replication r left join pg_replication_slots s on s.active_pid = r.pid
    where r.state is distinct from 'backup' and s.slot_type is distinct from 'logical'
    order by bytes desc nulls last`,
  )
  const [slowest] = rows.filter(({ bytes }) => bytes !== null)
  return {
    replica:
      slowest === undefined
        ? null
        : { name: slowest.name, bytes: Math.max(0, slowest.bytes ?? 0), seconds: slowest.seconds },
    masked: rows.filter(({ masked }) => masked).length,
    unknown: rows.filter(({ bytes }) => bytes === null).length,
  }
}

/** The slot with the most retained WAL; visible to every role. */
export async function readSlot(session: ClientBase): Promise<SlotWal | null> {
  const [slot] = await readAllPrepared<{ name: string; bytes: number }>(
    session,
    sql`
    select slot_name::text as name, greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::float8 as bytes
    from pg_replication_slots where restart_lsn is not null order by bytes desc limit 1`,
  )
  return slot ?? null
}

/**
 * Complete WAL segments not yet archived, computed from the name of the last archived one, because reading the
 * archive status folder requires pg_monitor. Null without archiving; 'unknown' before the first segment.
 */
export async function readArchiveBacklog(session: ClientBase): Promise<number | 'unknown' | null> {
  const row = await readOnePrepared<{ on: boolean; bytes: number | null }>(
    session,
    sql`
    select current_setting('archive_mode') <> 'off' as on,
      case when last_log is not null then greatest(0, floor(pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') / size) * size
        - (last_log * 4294967296 + last_segment * size + size)) end::float8 as bytes
    from (
      select pg_size_bytes(current_setting('wal_segment_size')) as size,
        ('x' || substr(name, 9, 8))::bit(32)::bigint as last_log, ('x' || substr(name, 17, 8))::bit(32)::bigint as last_segment
      from (select substring(last_archived_wal from '^[0-9A-F]{24}') as name from pg_stat_archiver) archiver
    ) position`,
  )
  return row.on ? (row.bytes ?? 'unknown') : null
}
