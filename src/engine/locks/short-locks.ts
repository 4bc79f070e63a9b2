import { setTimeout as sleep } from 'node:timers/promises'
import { describeHolder } from '../../db/holders.ts'
import type { Session } from '../../db/session.ts'
import { inTransaction } from '../../db/transaction.ts'
import { codeOf, isLockRefused, isRefusedByCitus, reasonOf, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import type { Lock } from '../../plan/language/step.ts'
import type { LockTimes, Emit } from '../../events.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { Attempt } from './attempt.ts'
import { InTheWay } from './in-the-way.ts'
import { refusedOnNodes, takeLocksOnAllNodes } from './on-all-nodes.ts'
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
   * Waits, by a commit in `session`, until the transaction under the locks is durable, which has not waited; it need not
   * if a later one does. If the server crashes before, that is lost, but so is everything that others have committed since.
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
  const { control, pid } = sessions
  const others = new InTheWay({ control, pid, locks: locks.locks, onAllNodes: locks.onAllNodes ?? false })
  const standstill = new Standstill(control, lockLimits)
  const deadline = performance.now() + lockLimits.deadlineMs
  let longest = 0
  let cancelled = 0
  for (let attempts = 1; ; attempts++) {
    do {
      const left = await holdersGone(others, standstill, deadline - performance.now(), observer, signal)
      if (left.length > 0) throw new NotLockedError(locks, lockLimits, `held by ${left.join('; ')}`)
    } while (!((await locks.stillReady?.()) ?? true))
    const attempt = new Attempt()
    try {
      await inTransaction(sessions.session, {}, async () => {
        await takeLocks(sessions, locks, lockLimits, attempt)
        await (locks.onAllNodes === true ? refusedOnNodes(sessions.session, work) : work())
        attempt.committing(control)
      })
    } catch (error) {
      longest = Math.max(longest, attempt.blockedMs())
      if (codeOf(error) === SQLSTATE.queryCanceled && ++cancelled === MOST_CANCELLED) throw error
      const reason = await reasonToRetry(error, others, lockLimits, attempts)
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

async function takeLocks(
  { session, deadlockTimeoutMs, durable }: ShortLockSessions,
  locks: ShortLocks,
  lockLimits: LockLimits,
  attempt: Attempt,
): Promise<void> {
  const eachMs = timeoutForEach(locks, lockLimits, deadlockTimeoutMs)
  const workMs = lockLimits.workTimeoutMs
  if (locks.onAllNodes === true) return takeLocksOnAllNodes(session, locks.acquire, { eachMs, workMs }, attempt)
  const settings = [
    // If this process hangs while it holds locks, the server releases them.
    `set local idle_in_transaction_session_timeout = '2s'`,
    `set local lock_timeout = ${deadlockTimeoutMs + 200}`,
    ...(durable === undefined ? [] : ['set local synchronous_commit = off']),
  ]
  await session.query([...settings, `select pg_catalog.pg_advisory_xact_lock(${attempt.mark})`].join(';\n'))
  if (locks.quiet !== null) await session.query(sql`lock table ${quoted(locks.quiet)} in share update exclusive mode`)
  await session.query(`set local lock_timeout = ${eachMs}`)
  attempt.asking()
  // One round trip for all locks, to keep them short.
  await session.query([...locks.acquire, `set local statement_timeout = ${workMs}`].join(';\n'))
  attempt.holding()
}

/** The number of locks that may each use up their timeout: others wait for the sum. */
const FULL_TIMEOUTS = 4

function timeoutForEach({ acquire }: ShortLocks, { lockTimeoutMs }: LockLimits, deadlockTimeoutMs: number): number {
  const inTotal = Math.min(FULL_TIMEOUTS * lockTimeoutMs, deadlockTimeoutMs / 2)
  return Math.max(1, Math.floor(Math.min(lockTimeoutMs, inTotal / Math.max(1, acquire.length))))
}

/** Waits until no lock on the tables has been held for long. */
async function holdersGone(
  others: InTheWay,
  standstill: Standstill,
  mostMs: number,
  observer: Emit,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return waitUntilGone({
    look: async () => {
      const old = await others.readOld()
      await standstill.look(old.map(({ pid, node }) => (node === undefined ? pid : null)))
      return old.map(describeHolder)
    },
    mostMs,
    signal,
    tell: (who) => observer({ type: 'waiting', reason: `for ${who.join('; ')}` }),
  })
}

/** Null if retrying is pointless. */
async function reasonToRetry(
  error: unknown,
  others: InTheWay,
  { workTimeoutMs }: LockLimits,
  attempts: number,
): Promise<string | null> {
  const because = (what: string) => `${what} (attempt ${attempts})`
  if (error instanceof NotReady) return because(error.message)
  if (codeOf(error) === SQLSTATE.queryCanceled)
    return because(`the work under the locks did not finish within ${workTimeoutMs} ms, or was cancelled`)
  if (isRefusedByCitus(error)) return because(reasonOf(error))
  if (!isLockRefused(error)) return null
  const holders = await others.read()
  const who = holders.length === 0 ? 'the holder has ended' : holders.slice(0, 3).map(describeHolder).join('; ')
  return `${because('a lock was not granted within lock_timeout')}: ${who}`
}

/** How long to wait before the next attempt: 200 ms at first, up to 2 s, with jitter, for retries must not synchronize. */
export function pauseAfter(attempts: number): number {
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
