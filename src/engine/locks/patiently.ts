import { setTimeout as sleep } from 'node:timers/promises'
import { describeHolder, readHolders, type Holder } from '../../db/holders.ts'
import { readAll, readOne } from '../../db/query.ts'
import { withSession, type Session, type Target } from '../../db/session.ts'
import { codeOf, isConnectionLost, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError, NOTHING_CHANGED } from '../../errors.ts'
import type { Observer } from '../../events.ts'
import { display, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { EngineOptions } from '../options.ts'
import { LOCK_LIMITS } from './short-locks.ts'
import { Standstill } from './standstill.ts'
import { waitUntilGone } from './wait-until-gone.ts'

/** Who waits for how long, and who is told. */
export type Patience = Pick<EngineOptions, 'observer' | 'signal' | 'lockLimits'>

/** How often something is read in all, if replay on a standby cancels it. */
const MOST_ATTEMPTS = 10
const AFTER_REPLAY_MS = 100

/**
 * Opens a session for `work`, which only reads. If a table is locked as a whole (LOCK TABLE, ALTER TABLE), waits without
 * queueing until it is free, says for whom, and starts again. It starts again, too, if replay on a standby was in the way.
 *
 * @throws {EbbError} at the deadline
 */
export async function readPatiently<T>(
  target: Target,
  purpose: string,
  patience: Patience,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await withSession(target, purpose, (session) => patiently(session, patience, () => work(session)))
    } catch (error) {
      if (!(await isCancelledByReplay(target, error))) throw error
      if (attempt === MOST_ATTEMPTS) throw cancelledByReplay(error)
      await sleep(attempt * AFTER_REPLAY_MS, undefined, { signal: patience.signal })
    }
  }
}

/**
 * Replay on a standby waits for queries in its way for `max_standby_streaming_delay`; then it cancels them, or ends their
 * sessions. Of the latter a client may see nothing but the loss.
 */
async function isCancelledByReplay(target: Target, error: unknown): Promise<boolean> {
  // What only reads fails so for no other reason.
  if (hasCode(error, SQLSTATE.serializationFailure)) return true
  if (!causesOf(error).some(isConnectionLost)) return false
  const question = sql`select pg_is_in_recovery() as "isStandby"`
  return withSession(target, 'look for replay', (session) => readOne<{ isStandby: boolean }>(session, question)).then(
    ({ isStandby }) => isStandby,
    () => false,
  )
}

function cancelledByReplay(cause: unknown): EbbError {
  return new EbbError(
    `replay on this standby cancelled the queries ${MOST_ATTEMPTS} times (max_standby_streaming_delay)`,
    { state: NOTHING_CHANGED, next: 'Run the same command again later, or connect to the primary.' },
    'try later',
    cause,
  )
}

/** The same in a session that is open. */
export async function patiently<T>(
  session: Session,
  { observer, signal, lockLimits = LOCK_LIMITS }: Patience,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + lockLimits.deadlineMs
  let holders: readonly Holder[] = []
  const standstill = new Standstill(session, lockLimits)
  const look = async () => {
    holders = await readLockers(session)
    await standstill.look(holders.map(({ pid }) => pid))
    return holders.map(describeHolder)
  }
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isLocked(error)) throw error
      const who = await waitUntilGone({
        look,
        mostMs: deadline - performance.now(),
        signal,
        tell: () => tell(holders, observer),
      })
      if (who.length > 0 || performance.now() > deadline) throw lockedOut(holders, lockLimits.deadlineMs, error)
    }
  }
}

function isLocked(error: unknown): boolean {
  return hasCode(error, SQLSTATE.lockNotAvailable)
}

function hasCode(error: unknown, code: string): boolean {
  return causesOf(error).some((one) => codeOf(one) === code)
}

/** A message may already have been made of it. */
function causesOf(error: unknown): unknown[] {
  return [error, error instanceof Error ? error.cause : undefined]
}

/** Whoever holds a lock that excludes reading, on any table of the database. */
async function readLockers(session: Session): Promise<Holder[]> {
  const tables = await readAll<TableName>(
    session,
    sql`
    select distinct n.nspname as schema, c.relname as name
    from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
    where l.locktype = 'relation' and l.granted and l.mode = 'AccessExclusiveLock' and c.relkind in ('r', 'p', 'm', 'v', 'f')
      and l.pid is distinct from pg_backend_pid() and n.nspname !~ '^pg_(toast|temp)'
      and l.database = (select oid from pg_database where datname = current_database())`,
  )
  const holders = await readHolders(session, tables, 0)
  return holders.filter(({ mode }) => mode === 'AccessExclusiveLock')
}

function tell(holders: readonly Holder[], observer: Observer): void {
  for (const holder of holders.slice(0, 3)) {
    const reason = `for the lock on ${display(holder.table)}: ${describeHolder(holder)}`
    observer({ table: holder.table, runId: null, type: 'waiting', reason })
  }
}

function lockedOut(holders: readonly Holder[], deadlineMs: number, cause: unknown): EbbError {
  const names = [...new Set(holders.map(({ table }) => display(table)))]
  const what =
    names.length === 0 ? 'a table was locked' : `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} locked`
  const by = holders.length === 0 ? '' : ` by ${holders.slice(0, 3).map(describeHolder).join('; ')}`
  return new EbbError(
    `${what}${by}, and could not be read within ${Math.round(deadlineMs / 1000)} s`,
    { state: NOTHING_CHANGED, next: 'Run the same command again when that has ended.' },
    'try later',
    cause,
  )
}
