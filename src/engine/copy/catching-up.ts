import { codeOf, SQLSTATE } from '../../db/sqlstate.ts'
import type { CopyWork } from '../../plan/copy-work.ts'
import { quoted } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { NotReady, type Patience } from '../brief.ts'
import type { Workplace } from '../workplace.ts'
import { assertCaptured } from './captured.ts'
import { beginDualWrites, endDualWrites } from './dual-writes.ts'
import { oldSnapshots, stillOld } from './old-snapshots.ts'
import { drain, isDrained } from './reconcile.ts'

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
//     or the swap does not happen.

/** For so long changes go into both tables while somebody with an old snapshot is waited for. A standby tells every 10 s, mostly. */
const MOST_DUAL_MS = 30_000

/** So many times the log was not empty under the lock; then large transactions, too, are written to both tables as a whole. */
const TIMES_NOT_EMPTY = 2

export class CatchingUp {
  private readonly work: CopyWork
  private readonly place: Workplace
  private readonly patience: Patience
  /** Changes go into both tables, or may do so: the answer of the server was lost. */
  private dual = false
  private ready = false
  private timesNotEmpty = 0

  constructor(work: CopyWork, place: Workplace, patience: Patience) {
    this.work = work
    this.place = place
    this.patience = patience
  }

  /** Leaves little to do for the moment when nobody is in the way any more. */
  async prepare(): Promise<void> {
    await drain(this.work, this.place)
    const old = await oldSnapshots(this.place, this.patience.deadlineMs)
    if (old.length > 0) throw stillOld(old)
  }

  /** True at once, when nothing is left to catch up with; or false, after having caught up. */
  async isReady(): Promise<boolean> {
    if (this.ready && (await isDrained(this.work, this.place))) return true
    const deadline = performance.now() + this.patience.deadlineMs
    this.ready = this.dual && (await this.settle(deadline))
    while (!this.ready) this.ready = await this.begin(deadline)
    return false
  }

  /** Questions to be asked under the lock, where nobody writes: what is in the log now is all there will be. */
  assertComplete(): readonly Promise<unknown>[] {
    const { session, journalSchema } = this.place
    return [this.assertDrained(), assertCaptured(session, journalSchema, this.work)]
  }

  /** To be called when the swap does not happen: changes are logged as before. Best effort, for both ways are right. */
  async stop(): Promise<void> {
    if (this.dual) await endDualWrites(this.work, this.place).catch(() => {})
    this.dual = false
  }

  private async begin(deadline: number): Promise<boolean> {
    await this.stop()
    await this.prepare()
    this.dual = true
    await beginDualWrites(this.work, this.place, this.timesNotEmpty < TIMES_NOT_EMPTY ? 'some' : 'all')
    return this.settle(deadline)
  }

  /** False when somebody keeps an old snapshot for too long, or so much is logged that it is not caught up with. */
  private async settle(deadline: number): Promise<boolean> {
    do {
      if (!(await drain(this.work, this.place, 0))) {
        this.timesNotEmpty = TIMES_NOT_EMPTY
        return false
      }
      const old = await oldSnapshots(this.place, MOST_DUAL_MS)
      if (old.length === 0) continue
      if (performance.now() > deadline) throw stillOld(old)
      return false
    } while (!(await isDrained(this.work, this.place)))
    return true
  }

  /** Has the server itself stop at a log that is not empty, before it begins with the exchange. */
  private async assertDrained(): Promise<void> {
    await this.place.session
      .query(sql`select 1 / (not exists (select from ${quoted(this.work.capture.log)}))::int`)
      .catch((error: unknown) => {
        if (codeOf(error) !== SQLSTATE.divisionByZero) throw error
        this.timesNotEmpty++
        throw new NotReady('changes have been logged that are not in the copy yet')
      })
  }
}
