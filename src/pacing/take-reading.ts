import { readClock } from '../db/clock.ts'
import { inOneGo } from '../db/in-one-go.ts'
import type { Session } from '../db/session.ts'
import { isConnectionLost, reasonOf } from '../db/sqlstate.ts'
import type { TableName } from '../sql/names.ts'
import type { PaceSettings } from './limits.ts'
import type { Reading, Signal } from './reading.ts'
import { readActivity } from './readings/activity.ts'
import { checkQuery, checkUrl } from './readings/health.ts'
import { readBlocked, readVacuum } from './readings/locks.ts'
import { readWorkers, worstOf } from './readings/workers.ts'
import type { WalWindow } from './wal-window.ts'
import { readArchiveBacklog, readReplicas, readSlot, readWalPosition } from './readings/wal.ts'

/** What to take a reading of. */
export interface Subject {
  /** All sessions of the run have this application_name. */
  readonly application: string
  /** The tables that the run changes. */
  readonly tables: readonly TableName[]
  /** Its statements work on the workers of a Citus cluster: they are looked at, too. */
  readonly onWorkers?: boolean
}

/**
 * Takes a reading: a few queries of a millisecond each, and the user's checks. The WAL position is recorded in
 * `window`. What this role may not see is null, with a reason in `missing`; only a lost connection is an error.
 */
export async function takeReading(
  session: Session,
  subject: Subject,
  settings: Pick<PaceSettings, 'healthSql' | 'healthUrl'>,
  window: WalWindow,
  signal: AbortSignal,
): Promise<Reading> {
  const missing: Partial<Record<Signal, string>> = {}
  const attempt = async <T>(of: Signal, read: () => Promise<T>): Promise<T | null> =>
    read().catch((error: unknown) => {
      if (isConnectionLost(error)) throw error
      missing[of] = reasonOf(error)
      return null
    })

  const [at, walPosition, blocked, replicas, slot, backlog, activity, vacuum] = await inOneGo(session, () => [
    readClock(session),
    attempt('WAL rate', () => readWalPosition(session)),
    attempt('blocked sessions', () => readBlocked(session, subject.application)),
    attempt('replica lag', () => readReplicas(session)),
    attempt('slot WAL', () => readSlot(session)),
    attempt('archive backlog', () => readArchiveBacklog(session)),
    attempt('active sessions', () => readActivity(session, subject.application)),
    attempt('vacuum', () => readVacuum(session, subject.application, subject.tables)),
  ])
  window.add({ at, walPosition })
  if (replicas !== null && replicas.unknown > 0) missing['replica lag'] = `${UNSEEN} what its replicas have replayed`
  else if (replicas !== null && replicas.masked > 0)
    missing['replica lag'] = `${UNSEEN} what its replicas have replayed; what they have received is used instead`
  if (backlog === 'unknown') missing['archive backlog'] = 'no WAL has been archived yet'
  if (activity === null) missing['active sessions'] ??= `${UNSEEN} what other roles are doing`
  if (vacuum === null) missing.vacuum ??= `${UNSEEN} who holds a lock such as a vacuum has`
  const healthSql = settings.healthSql === null ? null : await checkQuery(session, settings.healthSql)
  const healthUrl = settings.healthUrl === null ? null : await checkUrl(settings.healthUrl, signal)

  const reading = {
    at,
    blocked,
    replica: replicas?.replica ?? null,
    slot,
    walPosition,
    wal: window.lately(),
    archiveBacklogBytes: backlog === 'unknown' ? null : backlog,
    active: activity?.active ?? null,
    busy: activity?.busy ?? null,
    vacuum,
    healthSql,
    healthUrl,
    missing,
  }
  if (subject.onWorkers !== true) return reading
  const workers = await attempt('blocked sessions', () => readWorkers(session, subject.application))
  return workers === null ? reading : worstOf(reading, workers)
}

const UNSEEN = 'without pg_read_all_stats (or pg_monitor) this role cannot see'

/** A quick reading of replicas, WAL and the clock only; the rest is unchanged. */
export async function takeGlance(session: Session, before: Reading, window: WalWindow): Promise<Reading> {
  const [at, walPosition, { replica }] = await inOneGo(session, () => [
    readClock(session),
    readWalPosition(session),
    readReplicas(session),
  ])
  window.add({ at, walPosition })
  return { ...before, at, walPosition, wal: window.lately(), replica }
}

const MICROS = 1e6

/** The WAL rate between two readings, in bytes per second; null if they are too close. */
export function walRate(before: Reading, after: Pick<Reading, 'at' | 'walPosition'>): number | null {
  const seconds = Number(after.at - before.at) / MICROS
  if (seconds <= 0 || before.walPosition === null || after.walPosition === null) return null
  return (after.walPosition - before.walPosition) / seconds
}
