import type { ClientBase } from 'pg'
import { readAll, readOne } from '../../db/session.ts'
import { sql } from '../../sql/sql.ts'
import type { ReplicaLag, SlotWal } from '../reading.ts'

/** Where the WAL ends, in bytes from its beginning. Some services do not tell. */
export async function readWalPosition(session: ClientBase): Promise<number> {
  const { bytes } = await readOne<{ bytes: number }>(
    session,
    sql`select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as bytes`,
  )
  return bytes
}

/** Replicas there are, and how far the slowest is behind; null where nothing of it can be seen. */
export interface Replicas {
  readonly replica: ReplicaLag | null
  /** Some whose replay this role may not see. */
  readonly masked: number
  /** And of those, some of which nothing can be seen. */
  readonly unknown: number
}

/**
 * Physical replicas only. A logical subscriber confirms what it likes and when
 * it likes, on an idle table perhaps never: what it costs the server is seen
 * at its slot. In bytes, for `replay_lag` lies for seconds and is null on an idle server.
 *
 * Without pg_read_all_stats the rows of pg_stat_replication are empty; then the
 * slot of a replica tells what it has received, though not what it has replayed.
 */
export async function readReplicas(session: ClientBase): Promise<Replicas> {
  const rows = await readAll<{ name: string; bytes: number | null; seconds: number | null; masked: boolean }>(
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

/** The slot for which the server keeps most WAL; everybody may see it. */
export async function readSlot(session: ClientBase): Promise<SlotWal | null> {
  const [slot] = await readAll<{ name: string; bytes: number }>(
    session,
    sql`
    select slot_name::text as name, greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::float8 as bytes
    from pg_replication_slots where restart_lsn is not null order by bytes desc limit 1`,
  )
  return slot ?? null
}

/**
 * WAL in whole segments that has been written and not archived: from the name
 * of the last one archived, for looking into the archiver's folder takes
 * pg_monitor. Null where nothing is archived; 'unknown' before the first time.
 */
export async function readArchiveBacklog(session: ClientBase): Promise<number | 'unknown' | null> {
  const row = await readOne<{ on: boolean; bytes: number | null }>(
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
