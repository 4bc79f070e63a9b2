import { setTimeout as sleep } from 'node:timers/promises'
import { describeHolder, readHolders, type Holder } from '../../db/holders.ts'
import { inTransaction, type Session } from '../../db/session.ts'
import { codeOf, isLockRefused, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import type { Lock } from '../../plan/language/step.ts'
import type { LockTimes, Emit } from '../../events.ts'
import { display, quoted, sameName, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

// A short transaction under locks that block the application. What always holds:
//
//   - Nobody queues behind us for longer than a lock time-out: whoever holds a
//     conflicting lock for long is waited for by looking, not by queueing.
//   - An autovacuum is asked to leave first, under SHARE UPDATE EXCLUSIVE, which
//     blocks no reader or writer: it gives way only to somebody who has waited
//     longer than deadlock_timeout (docs/postgres-facts.md, Locks).
//   - Locks are held while waiting for further ones for less than deadlock_timeout
//     in total, so that no application becomes the victim of a deadlock.
//   - A lock that is not had, or work that takes too long or is not ready after all,
//     rolls back everything, and is tried again with jitter until the deadline:
//     the more it has cost the others, the later.

/** What to lock, and in which order. */
export interface BriefLocks {
  readonly quiet: TableName | null
  readonly acquire: readonly string[]
  /** The locks that are taken, there or on the way: somebody's lock that conflicts with one of these is in the way. */
  readonly locks: readonly Lock[]
  /** Asked before each attempt, when nobody is in the way: false where that took time, and somebody else may be by now. */
  readonly stillReady?: () => Promise<boolean>
}

export interface LockLimits {
  /** For each lock, in milliseconds: how long others may queue behind us. */
  readonly lockTimeoutMs: number
  /** For the work under the locks. A statement that takes longer is cancelled and all is undone. */
  readonly workTimeoutMs: number
  /** When to give up, in milliseconds from the start. */
  readonly deadlineMs: number
}

export const LOCK_LIMITS: LockLimits = { lockTimeoutMs: 50, workTimeoutMs: 1_000, deadlineMs: 600_000 }

export interface BriefSessions {
  /** The session the transaction runs in. */
  readonly session: Session
  readonly pid: number
  /** Another one, to look around with. */
  readonly control: Session
  readonly deadlockTimeoutMs: number
}

/** Thrown by the work under the locks, when it had better be done later. */
export class NotReady extends Error {}

/** Runs `work` in one transaction that holds all the locks, and commits. Returns what it cost the others. */
export async function underShortLocks(
  sessions: BriefSessions,
  locks: BriefLocks,
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
      })
      const heldMs = attempt.heldMs()
      return { attempts, heldMs, longestWaitCausedMs: Math.max(longest, attempt.blockedMs()) }
    } catch (error) {
      longest = Math.max(longest, attempt.blockedMs())
      if (codeOf(error) === SQLSTATE.queryCanceled && ++cancelled === MOST_CANCELLED) throw error
      const reason = await reasonToRetry(error, sessions, locks, lockLimits, attempts)
      if (reason === null || signal.aborted) throw error
      if (performance.now() > deadline) throw notDone(locks, lockLimits, reason, error)
      observer({ type: 'waiting', reason })
    }
    await sleep(Math.max(pauseAfter(attempts), LEFT_TO_OTHERS * attempt.blockedMs()), undefined, { signal })
  }
}

/** What takes too long under the locks so many times will not be quicker the next time. */
const MOST_CANCELLED = 3

/** While we try, others are blocked for a fifth of the time at most. */
const LEFT_TO_OTHERS = 4

/** Remembers since when an attempt may have kept others waiting. */
class Attempt {
  private asked: number | undefined
  private had: number | undefined

  /** From now on others may wait for us. */
  asking(): void {
    this.asked ??= performance.now()
  }

  /** From now on all locks are ours. */
  holding(): void {
    this.had ??= performance.now()
  }

  /** Others may have waited for so long by now. */
  blockedMs(): number {
    return this.asked === undefined ? 0 : performance.now() - this.asked
  }

  heldMs(): number {
    return this.had === undefined ? 0 : performance.now() - this.had
  }
}

async function takeLocks(
  { session, deadlockTimeoutMs }: BriefSessions,
  locks: BriefLocks,
  lockLimits: LockLimits,
  attempt: Attempt,
): Promise<void> {
  // If this process hangs while it holds locks, the server lets them go.
  await session.query(
    `set local idle_in_transaction_session_timeout = '2s'; set local lock_timeout = ${deadlockTimeoutMs + 200}`,
  )
  if (locks.quiet !== null) await session.query(sql`lock table ${quoted(locks.quiet)} in share update exclusive mode`)
  await session.query(`set local lock_timeout = ${timeoutForEach(locks, lockLimits, deadlockTimeoutMs)}`)
  attempt.asking()
  // One round trip for all: each lock held is time that others may be waiting.
  await session.query([...locks.acquire, `set local statement_timeout = ${lockLimits.workTimeoutMs}`].join(';\n'))
  attempt.holding()
}

/** How many locks may each use up their time-out: others wait for the sum. */
const FULL_TIMEOUTS = 4

function timeoutForEach({ acquire }: BriefLocks, { lockTimeoutMs }: LockLimits, deadlockTimeoutMs: number): number {
  const inTotal = Math.min(FULL_TIMEOUTS * lockTimeoutMs, deadlockTimeoutMs / 2)
  return Math.max(1, Math.floor(Math.min(lockTimeoutMs, inTotal / Math.max(1, acquire.length))))
}

/** How long somebody may hold a lock before we wait for them by looking instead of queueing. */
const OLD_MS = 200
const LOOK_EVERY_MS = 100

/** Waits until nobody has been holding a lock on the tables for long. Age is measured by looking twice, for `xact_start` of other roles is hidden. */
async function holdersGone(
  sessions: BriefSessions,
  locks: BriefLocks,
  lockLimits: LockLimits,
  deadline: number,
  observer: Emit,
  signal: AbortSignal,
): Promise<void> {
  const firstSeen = new Map<string, number>()
  for (;;) {
    const holders = (await readInTheWay(sessions, locks)).filter((holder) => !leavesWhenAsked(holder))
    const now = performance.now()
    for (const { transaction } of holders) if (!firstSeen.has(transaction)) firstSeen.set(transaction, now)
    const old = holders.filter(
      ({ transaction, seconds }) =>
        (seconds ?? 0) * 1000 > OLD_MS || now - (firstSeen.get(transaction) ?? now) > OLD_MS,
    )
    // Short transactions come and go all the time; the ladder's time-out deals with them.
    if (old.length === 0) return
    if (now > deadline) throw notGranted(locks, lockLimits, old)
    observer({ type: 'waiting', reason: `for ${describe(old)}` })
    await sleep(LOOK_EVERY_MS, undefined, { signal })
  }
}

async function readInTheWay({ control, pid }: BriefSessions, { locks }: BriefLocks): Promise<Holder[]> {
  const holders = await readHolders(
    control,
    locks.map(({ table }) => table),
    pid,
  )
  return holders.filter((holder) =>
    locks.some(({ table, mode }) => sameName(table, holder.table) && conflict(mode, holder.mode)),
  )
}

/** An ordinary autovacuum does; one to prevent wraparound, and everybody else, has to be waited for. */
function leavesWhenAsked({ mode, backend, query }: Holder): boolean {
  if (mode !== 'ShareUpdateExclusiveLock') return false
  // Hidden from this role: it may be an autovacuum, so it is asked.
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

/** Null where trying again is no cure. */
async function reasonToRetry(
  error: unknown,
  sessions: BriefSessions,
  locks: BriefLocks,
  { workTimeoutMs }: LockLimits,
  attempts: number,
): Promise<string | null> {
  const because = (what: string) => `${what} (attempt ${attempts})`
  if (error instanceof NotReady) return because(error.message)
  if (codeOf(error) === SQLSTATE.queryCanceled)
    return because(`what is done under the locks was not over within ${workTimeoutMs} ms, or somebody has cancelled it`)
  if (!isLockRefused(error)) return null
  const holders = await readInTheWay(sessions, locks)
  const who = holders.length === 0 ? 'whoever held it has gone' : describe(holders.slice(0, 3))
  return `${because('a lock was not free within its time-out')}: ${who}`
}

function describe(holders: readonly Holder[]): string {
  return holders.map(describeHolder).join('; ')
}

/** 200 ms at first, up to 2 s, at random: retries must not become a queue of their own. */
function pauseAfter(attempts: number): number {
  return Math.min(200 * attempts, 2_000) * (0.5 + Math.random())
}

function notGranted(locks: BriefLocks, lockLimits: LockLimits, holders: readonly Holder[]): EbbError {
  return notDone(locks, lockLimits, `held by ${describe(holders)}`, undefined)
}

function notDone(locks: BriefLocks, { deadlineMs }: LockLimits, reason: string, cause: unknown): EbbError {
  const tables = locks.locks.map(({ table }) => display(table)).join(', ')
  return new EbbError(
    `could not lock ${tables} within ${Math.round(deadlineMs / 1000)} s: ${reason}`,
    {
      state: 'This step has changed nothing; the steps before it are kept.',
      next: 'When they have ended, run the same command again: it resumes from here. Or undo what was done: ebb abandon.',
    },
    'try later',
    cause,
  )
}
