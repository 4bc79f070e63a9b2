import { describeHolder, readHolders, type Holder } from '../../db/holders.ts'
import { readAll } from '../../db/query.ts'
import { withSession, type Session, type Target } from '../../db/session.ts'
import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
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

/**
 * Opens a session for `work`, which only reads. If a table is locked as a whole (LOCK TABLE, ALTER TABLE), waits without
 * queueing until it is free, says for whom, and starts again.
 *
 * @throws {EbbError} at the deadline
 */
export function readPatiently<T>(
  target: Target,
  purpose: string,
  patience: Patience,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  return withSession(target, purpose, (session) => patiently(session, patience, () => work(session)))
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

/** A message may already have been made of it. */
function isLocked(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return [error, cause].some((one) => codeOf(one) === SQLSTATE.lockNotAvailable)
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
