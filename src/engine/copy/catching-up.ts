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
import { drain, explainedClash, isDrained, reconcileLog } from './reconcile.ts'

// The last catching up of a copy, so that under the lock nothing is left to do. What always holds:
//
//   - First whoever has had a snapshot for long is waited for, while changes are
//     only logged: that may take as long as a dump.
//   - Then changes go into both tables (plan/dual-writes.ts), the log is drained to
//     nothing, and whoever has a snapshot older than that is waited for once more.
//     Nobody is blocked meanwhile. A snapshot from then on shows the same in both
//     tables, whenever the swap comes.
//   - What cannot be written to both tables is in the log. Then the log is drained
//     again, and snapshots are waited for again: under the lock the log is empty,
//     or the swap does not happen. Only where it is never empty (an application that
//     exchanges values of a deferrable unique constraint all the time), or where
//     changes cannot go into both tables, the last few entries are caught up with
//     under the lock, and a snapshot of those milliseconds would miss them.

/** For so long changes go into both tables while somebody with an old snapshot is waited for. A standby tells every 10 s, mostly. */
const MOST_DUAL_MS = 30_000

/** So many times the log was not empty under the lock; then large transactions, too, are written to both tables as a whole. */
const TIMES_NOT_EMPTY = 2
/** And so many times; then what is left of it, if it is little, is caught up with there. */
const TIMES_NEVER_EMPTY = 5
const MOST_NEVER_EMPTY = 200
/** Where changes are only logged, so many are caught up with under the lock. */
const MOST_LOGGED = 2_000
const A_MOMENT_MS = 300

export class CatchingUp {
  private readonly work: CopyWork
  private readonly context: TableContext
  private readonly lockLimits: LockLimits
  /** Changes go into both tables, or may do so: the answer of the server was lost. */
  private dual = false
  private rows: 'some' | 'all' = 'some'
  /** What comes after may have to be caught up with. */
  private readyUntil = 0
  private timesNotEmpty = 0

  constructor(work: CopyWork, context: TableContext, lockLimits: LockLimits) {
    this.work = work
    this.context = context
    this.lockLimits = lockLimits
  }

  /** Leaves little to do for the moment when nobody is in the way any more. */
  async prepare(): Promise<void> {
    await drain(this.work, this.context, 'it logs')
    const old = await oldSnapshots(this.context, this.lockLimits.deadlineMs)
    if (old.length > 0) throw stillOld(old)
  }

  /** True at once, when nothing is left to catch up with, or was a moment ago; or false, after having caught up. */
  async isReady(): Promise<boolean> {
    if (performance.now() < this.readyUntil || (this.readyUntil > 0 && (await isDrained(this.work, this.context))))
      return true
    const deadline = performance.now() + this.lockLimits.deadlineMs
    let settled = this.dual && this.rows === this.rowsNow() && (await this.settle(deadline))
    while (!settled) settled = await this.begin(deadline)
    this.readyUntil = performance.now() + A_MOMENT_MS
    return false
  }

  /** What there is to ask, and to do, under the lock, where nobody writes: what is in the log now is all there will be. */
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

  /** To be called when the swap does not happen: changes are logged as before. Best effort, for both ways are right. */
  async stop(): Promise<void> {
    if (this.dual) await endDualWrites(this.work, this.context).catch(() => {})
    this.dual = false
  }

  private async begin(deadline: number): Promise<boolean> {
    await this.stop()
    await this.prepare()
    this.rows = this.rowsNow()
    await vacuumLog(this.work, this.context)
    this.dual = true
    this.dual = await beginDualWrites(this.work, this.context, this.rows)
    return this.settle(deadline)
  }

  private rowsNow(): 'some' | 'all' {
    return this.timesNotEmpty < TIMES_NOT_EMPTY ? 'some' : 'all'
  }

  /** False when somebody keeps an old snapshot for too long, or so much is logged that it is not caught up with. */
  private async settle(deadline: number): Promise<boolean> {
    for (let times = 0; times < 3; times++) {
      if (!(await drain(this.work, this.context, this.dual ? 'it writes both' : 'it logs'))) {
        if (performance.now() > deadline) throw neverDone()
        this.timesNotEmpty = Math.max(this.timesNotEmpty, TIMES_NOT_EMPTY)
        return false
      }
      const old = await oldSnapshots(this.context, MOST_DUAL_MS)
      if (old.length > 0 && performance.now() > deadline) throw stillOld(old)
      if (old.length > 0) return false
      if (!this.dual || (await isDrained(this.work, this.context))) break
    }
    return true
  }

  private async reconcile(): Promise<void> {
    await reconcileLog(this.context.session, this.work, null).catch((error: unknown) => {
      throw explainedClash(this.work, error)
    })
  }

  /** Has the server itself stop at a log that is longer, before it begins with the exchange. */
  private async assertNoMoreThan(most: number): Promise<void> {
    const log = quoted(this.work.capture.log)
    await this.context.session
      .query(sql`select 1 / (count(*) <= ${most})::int from (select from ${log} limit ${most} + 1) entries`)
      .catch((error: unknown) => {
        if (codeOf(error) !== SQLSTATE.divisionByZero) throw error
        this.timesNotEmpty++
        throw new NotReady('changes have been logged that are not in the copy yet')
      })
  }
}

function neverDone(): EbbError {
  return new EbbError(
    'changes arrive faster than they are caught up with',
    {
      state: 'The copy is complete and still being kept up to date; the swap has not happened.',
      next: 'Run the same command again when less is written to the table: it resumes from here.',
    },
    'try later',
  )
}

/** It may have been long, and is looked through often from now on. Not while somebody else is at it. */
async function vacuumLog({ capture }: CopyWork, { session }: TableContext): Promise<void> {
  await session.query(sql`vacuum ${quoted(capture.log)}`.text).catch((error: unknown) => {
    if (!isLockRefused(error)) throw error
  })
}
