import { codeOf, isLockRefused, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import type { CopyWork } from '../../plan/copy/work.ts'
import { quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { NotReady, type LockLimits } from '../locks/short-locks.ts'
import type { TableContext } from '../table-context.ts'
import { assertCaptured } from './captured.ts'
import { beginDualWrites, endDualWrites } from './dual-writes.ts'
import { oldSnapshots, stillOld } from './old-snapshots.ts'
import { applyWholeLog, drain, explainedClash, isDrained, reconcileLog } from './reconcile.ts'

// The final application of captured changes, so that nothing is left to do under the lock. Invariants:
//
//   - First, transactions with old snapshots are waited for, while changes are only logged: that may take as long as
//     a dump.
//   - Then changes are written to both tables (plan/copy/dual-writes.ts), the log is drained, and transactions with
//     an older snapshot are waited for once more. No session is blocked meanwhile. A snapshot from then on shows the
//     same rows in both tables, whenever the swap happens.
//   - Changes that cannot be written to both tables are in the log. Then the log is drained again, and snapshots are
//     waited for again: under the lock the log is empty, or the swap does not happen. Only if it is never empty (an
//     application that keeps exchanging values of a deferrable unique constraint), or if changes cannot be written to
//     both tables, the last few entries are applied under the lock, and a snapshot taken in those milliseconds would
//     miss them.

/**
 * How long changes are written to both tables while old snapshots are waited for. A standby usually reports every 10
 * s.
 */
const MOST_DUAL_MS = 30_000

/**
 * After this many attempts with a non-empty log under the lock, large transactions are completely written to both
 * tables, too.
 */
const TIMES_NOT_EMPTY = 2
/** After this many, the rest of the log, if short, is applied under the lock. */
const TIMES_NEVER_EMPTY = 5
const MOST_NEVER_EMPTY = 200
/** If changes are only logged, at most this many are applied under the lock. */
const MOST_LOGGED = 2_000
const A_MOMENT_MS = 300

export class CatchingUp {
  private readonly work: CopyWork
  private readonly context: TableContext
  private readonly lockLimits: LockLimits
  /** Changes are written to both tables, or may be: the server's response was lost. */
  private dual = false
  private rows: 'some' | 'all' = 'some'
  /** Later changes may have to be applied, and snapshots may be old. */
  private preparedUntil = 0
  private readyUntil = 0
  private timesNotEmpty = 0
  /** Changes could not be applied while both tables were written. */
  private undrained = false

  constructor(work: CopyWork, context: TableContext, lockLimits: LockLimits) {
    this.work = work
    this.context = context
    this.lockLimits = lockLimits
  }

  /** Leaves little to do until the locks are free. */
  async prepare(): Promise<void> {
    await drain(this.work, this.context, 'it logs')
    const old = await oldSnapshots(this.context, this.lockLimits.deadlineMs)
    if (old.length > 0) throw stillOld(old)
    this.preparedUntil = performance.now() + A_MOMENT_MS
  }

  /** True at once if nothing is left to apply, or was a moment ago; false after applying changes. */
  async isReady(): Promise<boolean> {
    if (performance.now() < this.readyUntil || (this.readyUntil > 0 && (await isDrained(this.work, this.context))))
      return true
    const deadline = performance.now() + this.lockLimits.deadlineMs
    let settled = this.dual && this.rows === this.rowsNow() && (await this.settle(deadline))
    while (!settled) settled = await this.begin(deadline)
    this.readyUntil = performance.now() + A_MOMENT_MS
    return false
  }

  /** The checks and work under the lock: without writers, the log is complete. */
  complete(): readonly Promise<unknown>[] {
    const { session, journalSchema } = this.context
    const most = this.mostUnderLock()
    return [
      this.assertNoMoreThan(most),
      assertCaptured(session, journalSchema, this.work),
      ...(most === 0 ? [] : [this.reconcile()]),
    ]
  }

  private mostUnderLock(): number {
    if (!this.dual) return MOST_LOGGED
    return this.timesNotEmpty < TIMES_NEVER_EMPTY ? 0 : MOST_NEVER_EMPTY
  }

  /**
   * To be called when the swap does not happen: changes are logged as before. Best effort, because both modes are
   * correct.
   */
  async stop(): Promise<void> {
    if (this.dual) await endDualWrites(this.work, this.context).catch(() => {})
    this.dual = false
  }

  private async begin(deadline: number): Promise<boolean> {
    await this.stop()
    if (performance.now() > this.preparedUntil) await this.prepare()
    // It may have been a row that only the target has: that is told now, when nobody else writes it.
    if (this.undrained) await applyWholeLog(this.work, this.context)
    this.undrained = false
    this.rows = this.rowsNow()
    await vacuumLog(this.work, this.context)
    this.dual = true
    this.dual = await beginDualWrites(this.work, this.context, this.rows)
    return this.settle(deadline)
  }

  private rowsNow(): 'some' | 'all' {
    return this.timesNotEmpty < TIMES_NOT_EMPTY ? 'some' : 'all'
  }

  /** False if an old snapshot is kept for too long, or changes are logged faster than they are applied. */
  private async settle(deadline: number): Promise<boolean> {
    for (let times = 0; times < 3; times++) {
      if (!(await this.drain())) {
        if (performance.now() > deadline) throw neverDone()
        this.timesNotEmpty = Math.max(this.timesNotEmpty + 1, TIMES_NOT_EMPTY)
        this.undrained = true
        return false
      }
      const old = await oldSnapshots(this.context, MOST_DUAL_MS)
      if (old.length > 0 && performance.now() > deadline) throw stillOld(old)
      if (old.length > 0) return false
      if (!this.dual || (await isDrained(this.work, this.context))) break
    }
    return true
  }

  private drain(): Promise<boolean> {
    return this.dual
      ? drain(this.work, this.context, 'it writes both', this.mostUnderLock())
      : drain(this.work, this.context, 'it logs')
  }

  private async reconcile(): Promise<void> {
    await reconcileLog(this.context.session, this.work, null).catch((error: unknown) => {
      throw explainedClash(this.work, error)
    })
  }

  /** Makes the server itself fail on a longer log, before it starts the swap. */
  private async assertNoMoreThan(most: number): Promise<void> {
    const log = quoted(this.work.capture.log)
    await this.context.session
      .query(sql`select 1 / (count(*) <= ${most})::int from (select from ${log} limit ${most} + 1) entries`)
      .catch((error: unknown) => {
        if (codeOf(error) !== SQLSTATE.divisionByZero) throw error
        this.timesNotEmpty++
        throw new NotReady('the log has changes that have not been applied to the copy')
      })
  }
}

function neverDone(): EbbError {
  return new EbbError(
    'changes arrive faster than they are applied',
    {
      state: 'The copy is complete and still kept up to date; the swap has not happened.',
      next: 'Run the same command again when the table has less write traffic: it resumes from here.',
    },
    'try later',
  )
}

/**
 * Vacuums the log: it may have been long, and is scanned often from now on. Not while another session is vacuuming
 * it.
 */
async function vacuumLog({ capture }: CopyWork, { session }: TableContext): Promise<void> {
  await session.query(sql`vacuum ${quoted(capture.log)}`.text).catch((error: unknown) => {
    if (!isLockRefused(error)) throw error
  })
}
