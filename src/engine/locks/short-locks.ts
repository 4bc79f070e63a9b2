import { randomInt } from 'node:crypto'
import type { NoticeMessage } from 'pg-protocol/dist/messages.js'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeHolder, readHolders, type Holder } from '../../db/holders.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { codeOf, isLockRefused, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError, messageOf } from '../../errors.ts'
import type { Lock } from '../../plan/language/step.ts'
import type { LockTimes, Emit } from '../../events.ts'
import { display, quoted, sameName, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { readHoldersOnWorkers } from './on-workers.ts'
import { Standstill } from './standstill.ts'
import { waitUntilGone } from './wait-until-gone.ts'

// A short transaction under locks that block the application. Invariants:
//
//   - No session queues behind us for longer than a lock timeout: long-held conflicting locks are waited for by
//     polling, not by queueing.
//   - An autovacuum is cancelled first, by requesting SHARE UPDATE EXCLUSIVE, which blocks no reader or writer: it is
//     cancelled only for a session that has waited longer than deadlock_timeout (docs/postgres-facts.md, Locks).
//   - Locks are held while waiting for further ones for less than deadlock_timeout in total, so that no application
//     becomes the victim of a deadlock.
//   - Nobody waits for a disk or a standby: the commit does so only when the locks are free (see `durable`).
//   - If a lock is not granted, or the work takes too long or is not ready after all, everything is rolled back and
//     retried with jitter until the deadline: the longer others were blocked, the later.

/** The locks to take, in order. */
export interface ShortLocks {
  readonly quiet: TableName | null
  readonly acquire: readonly string[]
  /** The locks that are taken, explicitly or by the work: locks of others that conflict with these are in the way. */
  readonly locks: readonly Lock[]
  /** They are taken on all nodes of a Citus cluster, and others may be in the way on each. */
  readonly onAllNodes?: true
  /** Called before each attempt, when no lock is in the way: false if that took time, so that one may be by now. */
  readonly stillReady?: () => Promise<boolean>
}

export interface LockLimits {
  /** Per lock, in milliseconds: how long others may queue behind us. */
  readonly lockTimeoutMs: number
  /** For the work under the locks. A statement that takes longer is cancelled and everything is rolled back. */
  readonly workTimeoutMs: number
  /** When to stop retrying, in milliseconds from the start. */
  readonly deadlineMs: number
  /** How long to wait for what seems to be the connection that we are called from; see standstill.ts. */
  readonly standstillMs?: number
}

export const LOCK_LIMITS: LockLimits = { lockTimeoutMs: 50, workTimeoutMs: 1_000, deadlineMs: 600_000 }

export interface ShortLockSessions {
  /** The session of the transaction. */
  readonly session: Session
  readonly pid: number
  /** Another one, for monitoring. */
  readonly control: Session
  readonly deadlockTimeoutMs: number
  /**
   * Commits something in `session` and waits until it is durable, and with it the transaction under the locks, which
   * has not waited. If the server crashes before, that is lost, but so is everything that others have committed since.
   * Without this the locks are held until the disk, and a synchronous standby, have the commit.
   */
  readonly durable?: () => Promise<void>
}

/** Thrown by the work under the locks, if it should be done later. */
export class NotReady extends Error {}

/** Runs `work` in one transaction that holds all the locks, and commits. Returns the lock times. */
export async function underShortLocks(
  sessions: ShortLockSessions,
  locks: ShortLocks,
  lockLimits: LockLimits,
  observer: Emit,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<LockTimes> {
  const deadline = performance.now() + lockLimits.deadlineMs
  let longest = 0
  let cancelled = 0
  for (let attempts = 1; ; attempts++) {
    do await holdersGone(sessions, locks, lockLimits, deadline, observer, signal)
    while (!((await locks.stillReady?.()) ?? true))
    const attempt = new Attempt()
    try {
      await inTransaction(sessions.session, {}, async () => {
        await takeLocks(sessions, locks, lockLimits, attempt)
        await work()
        attempt.committing(sessions.control)
      })
    } catch (error) {
      longest = Math.max(longest, attempt.blockedMs())
      if (codeOf(error) === SQLSTATE.queryCanceled && ++cancelled === MOST_CANCELLED) throw error
      const reason = await reasonToRetry(error, sessions, locks, lockLimits, attempts)
      if (reason === null || signal.aborted) throw error
      if (performance.now() > deadline) throw new NotLockedError(locks, lockLimits, reason, error)
      observer({ type: 'waiting', reason })
      await sleep(Math.max(pauseAfter(attempts), LEFT_TO_OTHERS * attempt.blockedMs()), undefined, { signal })
      continue
    }
    const { heldMs, blockedMs } = await attempt.released()
    // It is committed: if this fails, it is not done again.
    await sessions.durable?.()
    return { attempts, heldMs, longestWaitCausedMs: Math.max(longest, blockedMs) }
  }
}

/** After this many timeouts under the locks, retrying is pointless. */
const MOST_CANCELLED = 3

/** While we retry, others are blocked for at most a fifth of the time. */
const LEFT_TO_OTHERS = 4

/** 2⁴⁷: as many as randomInt can tell apart. */
const MARKS = 0x8000_0000_0000

/**
 * Records since when an attempt may have blocked others, and until when: a commit that drops an index is answered
 * when its files have been deleted, 25 to 45 ms after the locks are free for one of five million rows. So the
 * transaction also holds an advisory lock, and the control session asks for that at the commit.
 */
class Attempt {
  /** The key of the advisory lock. */
  readonly mark = randomInt(MARKS)
  private asked: number | undefined
  private had: number | undefined
  private freed: Promise<number> | undefined

  /** From now on others may be waiting for us. */
  asking(): void {
    this.asked ??= performance.now()
  }

  /** From now on we hold all locks. */
  holding(): void {
    this.had ??= performance.now()
  }

  /** The maximum blocking time so far. */
  blockedMs(): number {
    return this.asked === undefined ? 0 : performance.now() - this.asked
  }

  /** The transaction is about to commit. */
  committing(control: Session): void {
    this.freed = control.query(`select pg_catalog.pg_advisory_xact_lock_shared(${this.mark})`).then(
      () => performance.now(),
      () => Infinity, // Then the commit itself counts.
    )
  }

  /** When the commit has been answered: the times until the locks were free. */
  async released(): Promise<{ heldMs: number; blockedMs: number }> {
    const answered = performance.now()
    const freed = Math.min(answered, (await this.freed) ?? Infinity)
    return { heldMs: freed - (this.had ?? freed), blockedMs: freed - (this.asked ?? freed) }
  }
}

async function takeLocks(
  { session, deadlockTimeoutMs, durable }: ShortLockSessions,
  locks: ShortLocks,
  lockLimits: LockLimits,
  attempt: Attempt,
): Promise<void> {
  if (locks.onAllNodes === true) return takeLocksOnAllNodes(session, locks, lockLimits, deadlockTimeoutMs, attempt)
  const settings = [
    // If this process hangs while it holds locks, the server releases them.
    `set local idle_in_transaction_session_timeout = '2s'`,
    `set local lock_timeout = ${deadlockTimeoutMs + 200}`,
    ...(durable === undefined ? [] : ['set local synchronous_commit = off']),
  ]
  await session.query([...settings, `select pg_catalog.pg_advisory_xact_lock(${attempt.mark})`].join(';\n'))
  if (locks.quiet !== null) await session.query(sql`lock table ${quoted(locks.quiet)} in share update exclusive mode`)
  await session.query(`set local lock_timeout = ${timeoutForEach(locks, lockLimits, deadlockTimeoutMs)}`)
  attempt.asking()
  // One round trip for all locks, to keep them short.
  await session.query([...locks.acquire, `set local statement_timeout = ${lockLimits.workTimeoutMs}`].join(';\n'))
  attempt.holding()
}

/**
 * Citus sends a statement on as the whole message that it came in, so each is one of its own; and a time-out only if it is
 * told to. How long the work may take need not be sent: cancelled here, it is cancelled there. What is committed is prepared
 * on the workers first, so nothing is gained by not waiting for the disk here.
 */
async function takeLocksOnAllNodes(
  session: Session,
  locks: ShortLocks,
  lockLimits: LockLimits,
  deadlockTimeoutMs: number,
  attempt: Attempt,
): Promise<void> {
  const before = [
    `set local idle_in_transaction_session_timeout = '2s'`,
    `select pg_catalog.pg_advisory_xact_lock(${attempt.mark})`,
    `set local citus.propagate_set_commands = 'local'`,
    `set local lock_timeout = ${timeoutForEach(locks, lockLimits, deadlockTimeoutMs)}`,
    `set local citus.propagate_set_commands = 'none'`,
  ]
  for (const statement of before) await session.query(statement)
  attempt.asking()
  for (const statement of locks.acquire) await lockOnAllNodes(session, statement)
  await session.query(`set local statement_timeout = ${lockLimits.workTimeoutMs}`)
  attempt.holding()
}

/** A lock that a worker does not grant is XX000, "failure on connection marked as essential"; why is in a warning before it. */
async function lockOnAllNodes(session: Session, statement: string): Promise<void> {
  let refused: unknown
  const listen = (notice: NoticeMessage) => {
    if (isLockRefused(notice)) refused = notice
  }
  session.on('notice', listen)
  try {
    await session.query(statement)
  } catch (error) {
    throw refused === undefined
      ? error
      : Object.assign(new Error(messageOf(refused), { cause: error }), { code: codeOf(refused) })
  } finally {
    session.off('notice', listen)
  }
}

/** The number of locks that may each use up their timeout: others wait for the sum. */
const FULL_TIMEOUTS = 4

function timeoutForEach({ acquire }: ShortLocks, { lockTimeoutMs }: LockLimits, deadlockTimeoutMs: number): number {
  const inTotal = Math.min(FULL_TIMEOUTS * lockTimeoutMs, deadlockTimeoutMs / 2)
  return Math.max(1, Math.floor(Math.min(lockTimeoutMs, inTotal / Math.max(1, acquire.length))))
}

/** A lock held longer than this is waited for by polling instead of queueing. */
const OLD_MS = 200

/**
 * Waits until no lock on the tables has been held for long. Its age is measured by polling twice, because
 * `xact_start` of other roles is hidden.
 */
async function holdersGone(
  sessions: ShortLockSessions,
  locks: ShortLocks,
  lockLimits: LockLimits,
  deadline: number,
  observer: Emit,
  signal: AbortSignal,
): Promise<void> {
  const firstSeen = new Map<string, number>()
  const standstill = new Standstill(sessions.control, lockLimits)
  // Short transactions are left to the lock timeout.
  const isOld = ({ transaction, seconds }: Holder): boolean => {
    const now = performance.now()
    const seen = firstSeen.get(transaction) ?? now
    firstSeen.set(transaction, seen)
    return (seconds ?? 0) * 1000 > OLD_MS || now - seen > OLD_MS
  }
  const old = await waitUntilGone({
    look: async () => {
      const holders = (await readInTheWay(sessions, locks)).filter((holder) => !leavesWhenAsked(holder))
      const old = holders.filter(isOld)
      await standstill.look(old.map(({ pid, node }) => (node === undefined ? pid : null)))
      return old.map(describeHolder)
    },
    mostMs: deadline - performance.now(),
    signal,
    tell: (who) => observer({ type: 'waiting', reason: `for ${who.join('; ')}` }),
  })
  if (old.length > 0) throw new NotLockedError(locks, lockLimits, `held by ${old.join('; ')}`)
}

async function readInTheWay({ control, pid }: ShortLockSessions, { locks, onAllNodes }: ShortLocks): Promise<Holder[]> {
  const tables = locks.map(({ table }) => table)
  const here = await readHolders(control, tables, pid)
  const holders = onAllNodes === true ? [...here, ...(await readHoldersOnWorkers(control, tables))] : here
  return holders.filter((holder) =>
    locks.some(({ table, mode }) => sameName(table, holder.table) && conflict(mode, holder.mode)),
  )
}

/**
 * An ordinary autovacuum can be cancelled; one to prevent wraparound, and all other sessions, have to be waited for.
 */
function leavesWhenAsked({ mode, backend, query }: Holder): boolean {
  if (mode !== 'ShareUpdateExclusiveLock') return false
  // Hidden from this role: it may be an autovacuum, so cancelling is tried.
  return backend === null || (backend === 'autovacuum worker' && !(query ?? '').includes('to prevent wraparound'))
}

const STRENGTH = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
]

/** The weakest lock that conflicts with each of ours; all stronger ones do too. https://www.postgresql.org/docs/current/explicit-locking.html */
const CONFLICTS_FROM: Readonly<Record<Lock['mode'], string>> = {
  'ACCESS SHARE': 'AccessExclusiveLock',
  'ROW SHARE': 'ExclusiveLock',
  'ROW EXCLUSIVE': 'ShareLock',
  'SHARE UPDATE EXCLUSIVE': 'ShareUpdateExclusiveLock',
  'SHARE ROW EXCLUSIVE': 'RowExclusiveLock',
  'ACCESS EXCLUSIVE': 'AccessShareLock',
}

function conflict(ours: Lock['mode'], theirs: string): boolean {
  return STRENGTH.indexOf(theirs) >= STRENGTH.indexOf(CONFLICTS_FROM[ours])
}

/** Null if retrying is pointless. */
async function reasonToRetry(
  error: unknown,
  sessions: ShortLockSessions,
  locks: ShortLocks,
  { workTimeoutMs }: LockLimits,
  attempts: number,
): Promise<string | null> {
  const because = (what: string) => `${what} (attempt ${attempts})`
  if (error instanceof NotReady) return because(error.message)
  if (codeOf(error) === SQLSTATE.queryCanceled)
    return because(`the work under the locks did not finish within ${workTimeoutMs} ms, or was cancelled`)
  if (!isLockRefused(error)) return null
  const holders = await readInTheWay(sessions, locks)
  const who = holders.length === 0 ? 'the holder has ended' : holders.slice(0, 3).map(describeHolder).join('; ')
  return `${because('a lock was not granted within lock_timeout')}: ${who}`
}

/** 200 ms at first, up to 2 s, with jitter: retries must not synchronize. */
function pauseAfter(attempts: number): number {
  return Math.min(200 * attempts, 2_000) * (0.5 + Math.random())
}

/** The locks were not granted before the deadline. */
export class NotLockedError extends EbbError {
  constructor({ locks }: ShortLocks, { deadlineMs }: LockLimits, reason: string, cause?: unknown) {
    const tables = locks.map(({ table }) => display(table)).join(', ')
    super(
      `could not lock ${tables} within ${Math.round(deadlineMs / 1000)} s: ${reason}`,
      {
        state: 'This step has changed nothing; the steps before it are kept.',
        next: 'When they have ended, run the same command again: it resumes from here.',
      },
      'try later',
      cause,
    )
  }

  /** The same error with further advice. */
  advising(more: string): EbbError {
    const { message, advice, kind, cause } = this
    return new EbbError(message, { ...advice, next: `${advice.next}${more}` }, kind, cause)
  }
}
