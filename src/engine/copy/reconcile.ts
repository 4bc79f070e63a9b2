import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientBase } from 'pg'
import { readOne } from '../../db/query.ts'
import { inTransaction } from '../../db/transaction.ts'
import { codeOf, isLockRefused, reasonOf, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import { assertLease, renewLease } from '../../journal/lease.ts'
import { takeFromLog } from '../../plan/copy/capture.ts'
import { keyList, sameKey } from '../../plan/copy/key.ts'
import type { CopyWork } from '../../plan/copy/work.ts'
import type { ReconcileStep } from '../../plan/language/step.ts'
import { showCount } from '../../text/units.ts'
import { putBack, putUnder } from '../../sql/condition-settings.ts'
import { display, quoted } from '../../sql/names.ts'
import { join, raw, sql } from '../../sql/sql.ts'
import type { TableContext } from '../table-context.ts'
import { assertCaptured } from './captured.ts'
import { kept } from './chunk.ts'
import { disturbersBack, disturbersOff } from './disturbers.ts'

// Reconciles by state: for each key in the log, the row of the target is deleted, and the current row of the source
// is inserted. So it does not matter in which order or how often changes were logged, or whether a batch is repeated.
//
//   - A batch deletes exactly the log rows that it has read, never "all up to number n": a transaction that commits
//     late has lower numbers.
//   - It reads log and source in one snapshot: later entries stay in the log, and are applied by a later batch.

/** Reconciles until the log is short, or all of it at once. */
export async function reconcile(step: ReconcileStep, context: TableContext): Promise<void> {
  await assertCaptured(context.session, context.journalSchema, step.work)
  if (step.pass === 'whole log at once') {
    // What is logged from now on is left to later passes in any case.
    if (!(await isDrained(step.work, context))) await applyWholeLog(step.work, context)
    return
  }
  if (await drain(step.work, context, 'it logs')) return
  context.observer({
    type: 'note',
    text: 'changes arrive faster than they are applied; before the swap they are written to both tables, which ends the backlog',
  })
}

/** Where changes of the application go meanwhile: to the log only, or to both tables, and to the log if that fails. */
export type Meanwhile = 'it logs' | 'it writes both'

/**
 * Reconciles batch by batch until at most `most` entries of the log are left, and reports progress. Ends early, with
 * false, when changes arrive faster than they are applied, or cannot be applied beside concurrent ones.
 */
export async function drain(
  work: CopyWork,
  context: TableContext,
  meanwhile: Meanwhile,
  most = meanwhile === 'it logs' ? context.copySizes.shortLog : 0,
): Promise<boolean> {
  const began = performance.now()
  const size = new BatchSize(context.copySizes.batchEntries)
  const atFirst = await logLength(context.session, work)
  let [done, applied] = [0, began]
  for (let left = atFirst; left > most;) {
    context.signal.throwIfAborted()
    const entries = await oneBatch(context, work, size, meanwhile)
    if (entries === null) return false
    left = await logLength(context.session, work)
    done += entries
    const now = performance.now()
    if (entries > 0) applied = now
    const seconds = (now - began) / 1000
    const closing = forecast(context, { left, arrived: left + done - atFirst, done }, Math.max(0, left - most), seconds)
    if ((!closing && seconds > LONG_ENOUGH_SECONDS) || now - applied > LONG_ENOUGH_SECONDS * 1000) return false
  }
  return true
}

/** The minimum time to judge whether changes arrive faster than they are applied, or none can be applied. */
const LONG_ENOUGH_SECONDS = 5

/** Whether the log is empty. */
export async function isDrained(work: CopyWork, { session }: TableContext): Promise<boolean> {
  return (await logLength(session, work)) === 0
}

/** While changes are written to both tables, a batch blocks writers of its rows for this long. */
const BATCH_MS = 100

/** Entries of a batch, so that it finishes in time whatever the row size. */
class BatchSize {
  /** Null: the whole log. */
  entries: number | null
  private readonly most: number
  private refusals = 0
  private clashes = 0
  private wholeClashes = 0

  constructor(most: number) {
    this.most = most
    this.entries = Math.min(most, 500)
  }

  took(milliseconds: number): void {
    const factor = Math.min(2, BATCH_MS / Math.max(milliseconds, 1))
    this.entries = Math.max(1, Math.min(this.most, Math.floor((this.entries ?? 1) * factor)))
    this.refusals = 0
    this.clashes = 0
    this.wholeClashes = 0
  }

  /** A concurrent change of one of the rows: less likely with fewer. */
  refused(): void {
    this.entries = Math.max(1, Math.floor((this.entries ?? 1) / 2))
    this.refusals++
  }

  /**
   * A unique value would be in two rows. Either rows have exchanged their values and the batch has only one of them;
   * the source as a whole is unique in every snapshot. Or the application, which writes both tables or did a moment
   * ago, has inserted that row concurrently, which is less likely with fewer. False if neither seems to be the case.
   */
  clashed(meanwhile: Meanwhile): boolean {
    this.clashes++
    if (this.entries === null && ++this.wholeClashes > MOST_CLASHES) return false
    if (meanwhile === 'it logs' || this.entries === 1) this.entries = null
    else this.entries = Math.max(1, Math.floor((this.entries ?? 1) / 2))
    return true
  }

  /** Before the next attempt. */
  get pauseMs(): number {
    const times = this.refusals + this.clashes
    return times > 3 ? Math.min(10 * times, 500) * Math.random() : 0
  }
}

/** How often the whole log may clash, with nothing applied in between. */
const MOST_CLASHES = 3

function isClash(error: unknown): boolean {
  const code = codeOf(error)
  return code === SQLSTATE.uniqueViolation || code === SQLSTATE.exclusionViolation
}

/**
 * Returns 0 if the batch has to be repeated, then with another size; null if the whole log clashes while both tables are
 * written, where the target's own rows and those of concurrent writers cannot be told apart.
 */
async function oneBatch(
  context: TableContext,
  work: CopyWork,
  size: BatchSize,
  meanwhile: Meanwhile,
): Promise<number | null> {
  const began = performance.now()
  try {
    const entries = await batchUnderLease(context, work, size.entries)
    size.took(performance.now() - began)
    return entries
  } catch (error) {
    if (isPassing(error)) size.refused()
    else if (!isClash(error)) throw error
    else if (!size.clashed(meanwhile)) {
      if (meanwhile === 'it logs') throw explainedClash(work, error)
      return null
    }
  }
  await sleep(size.pauseMs, undefined, { signal: context.signal })
  return 0
}

/** The lease was renewed concurrently; or the application wrote a row of the target. */
function isPassing(error: unknown): boolean {
  return codeOf(error) === SQLSTATE.serializationFailure || isLockRefused(error)
}

/**
 * Even the whole log conflicts: the target has rows that the source does not. This happens in the rollback of a
 * rebuild that left rows out, if their unique values have been reused since.
 */
export function explainedClash({ source, target }: CopyWork, error: unknown): unknown {
  if (!isClash(error)) return error
  return new EbbError(
    `a row of ${display(source)} conflicts with one that only ${display(target)} has: ${reasonOf(error)}`,
    {
      state: 'This step has been rolled back; both tables are as they were before it, and nothing is lost.',
      next: `If it is a row that was left out and is not needed, delete it from ${display(target)} and run the same command again; --show-values shows its key. Or keep the present tables: ebb abandon.`,
    },
    'failed',
    error,
  )
}

/** Reconciles the whole log at once, while changes are only logged: what clashes then is a row that only the target has. */
export async function applyWholeLog(work: CopyWork, context: TableContext): Promise<void> {
  for (let attempts = 1, clashes = 0; ; attempts++) {
    try {
      await batchUnderLease(context, work, null)
      return
    } catch (error) {
      if (!isPassing(error) && !(isClash(error) && ++clashes <= MOST_CLASHES)) throw explainedClash(work, error)
    }
    if (attempts > 3) await sleep(Math.min(10 * attempts, 500) * Math.random(), undefined, { signal: context.signal })
    context.signal.throwIfAborted()
  }
}

/** Writers may hold locks on rows of the target for long, while others wait for the rows of this batch. */
const ROW_TIMEOUT_MS = 50

/**
 * Two concurrent runs would write states of two moments. The lease is checked first, because under a snapshot a row
 * that changes later cannot be locked; and it is renewed at the end, because it could not be until then.
 */
function batchUnderLease(context: TableContext, work: CopyWork, limit: number | null): Promise<number> {
  const { session, journalSchema, lease } = context
  return inTransaction(session, { isolation: 'repeatable read' }, async () => {
    await holdBeforeSnapshot(session, work)
    await session.query(`set local lock_timeout = ${ROW_TIMEOUT_MS}`)
    await assertLease(session, journalSchema, lease)
    const entries = await reconcileLog(session, work, limit)
    await renewLease(session, journalSchema, lease)
    return entries
  })
}

// To an older snapshot a rewritten table (ALTER TABLE, REPACK CONCURRENTLY) is empty: all its rows would be deleted.
// LOCK TABLE takes no snapshot, so the first snapshot is taken under the lock.
async function holdBeforeSnapshot(session: ClientBase, { source }: CopyWork): Promise<void> {
  await session.query(sql`lock table ${quoted(source)} in access share mode`.text)
}

/** Reconciles up to `limit` entries (null: all) in the open transaction. Returns the number. */
export async function reconcileLog(session: ClientBase, work: CopyWork, limit: number | null): Promise<number> {
  const { capture, source, target } = work
  const key = capture.key
  const statements = [
    sql`create temporary table ebb_batch on commit drop as
        with taken as (${takeFromLog(capture, limit)}) select ${keyList(key)} from taken`,
    sql`analyze pg_temp.ebb_batch`,
    disturbersOff(target),
    sql`delete from ${quoted(target)} t using pg_temp.ebb_batch b where ${sameKey(key, 't', 'b')}`,
    ...putUnder(work.settings).map(raw),
    sql`insert into ${quoted(target)} (${raw(work.columns)}) select ${raw(work.columns)} from ${quoted(source)} s
        where ${kept(work)} and exists (select from pg_temp.ebb_batch b where ${sameKey(key, 's', 'b')})`,
    // Deferred checks would prevent a swap from altering the table, and could fail at the commit without a clear
    // reason.
    raw('set constraints all immediate'),
    ...putBack(work.settings).map(raw),
    disturbersBack(),
    sql`drop table pg_temp.ebb_batch`,
  ]
  // In one message; each statement is planned after the previous one has been executed.
  const results = (await session.query(join(statements, ';\n').text)) as unknown
  return (results as readonly { readonly rowCount: number | null }[])[0]?.rowCount ?? 0
}

/** Entries in the log. */
async function logLength(session: ClientBase, { capture }: CopyWork): Promise<number> {
  return (await readOne<{ n: number }>(session, sql`select count(*)::int as n from ${quoted(capture.log)}`)).n
}

/** Entries logged since the start. */
interface Changes {
  readonly left: number
  readonly arrived: number
  readonly done: number
}

/** Reports progress; false if the log does not get shorter. */
function forecast(
  { observer }: TableContext,
  { left, arrived, done }: Changes,
  tooMany: number,
  seconds: number,
): boolean {
  const drained = done / Math.max(seconds, 0.001)
  const arriving = arrived / Math.max(seconds, 0.001)
  const closing = drained - arriving
  const never = closing <= 0 && tooMany > 0
  observer({
    type: 'progress',
    progress: {
      what: `applying changes, ${showCount(arriving)}/s arriving`,
      done,
      total: done + left,
      unit: 'changes',
      perSecond: drained,
      remainingSeconds: never ? null : tooMany / Math.max(closing, 0.001),
    },
  })
  return !never
}
