import { setTimeout as sleep } from 'node:timers/promises'
import { describeHolder, readHolders } from '../../db/holders.ts'
import { readAll, type Session } from '../../db/session.ts'
import { codeOf, isConnectionLost, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError, reasonOf } from '../../errors.ts'
import { assertLease } from '../../journal/lease.ts'
import type { DetachStep } from '../../plan/rotate/step.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { LockLimits } from '../locks/short-locks.ts'
import { watched } from '../watch.ts'
import type { TableContext } from '../table-context.ts'

// `detach … concurrently` runs in two transactions. What always holds:
//
//   - Whoever is at work on the parent is waited for by looking, before it begins:
//     once it has begun, the partition is half detached until they end.
//   - It runs without a lock time-out, for one that strikes leaves the partition
//     half detached. Instead another session looks whether
//     anybody waits for us, and cancels it when they have waited for 100 ms.
//   - Nothing is concluded from its error: what has become of the partition is
//     asked of the catalogue, by oid.

/** How a partition stands. */
export type PartitionState = 'attached' | 'half detached' | 'detached' | 'gone'

/** Where a relation of this oid and name stands with regard to a parent, and its bounds as the catalogue has them. */
export async function readState(
  session: Session,
  parent: TableName,
  partition: { readonly oid: string; readonly name: TableName },
): Promise<{ readonly state: PartitionState; readonly boundsText: string | null }> {
  const [row] = await readAll<{ state: PartitionState; boundsText: string | null }>(
    session,
    sql`
    select case when not c.relispartition then 'detached' when h.inhrelid is null then 'gone'
        when h.inhdetachpending then 'half detached' else 'attached' end as state, pg_get_expr(c.relpartbound, c.oid) as "boundsText"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join (pg_inherits h join pg_class p on p.oid = h.inhparent join pg_namespace pn on pn.oid = p.relnamespace)
      on h.inhrelid = c.oid and p.relname = ${parent.name} and pn.nspname = ${parent.schema}
    where c.oid = ${partition.oid} and c.relname = ${partition.name.name} and n.nspname = ${partition.name.schema}`,
  )
  return row ?? { state: 'gone', boundsText: null }
}

/**
 * Detaches a partition concurrently. Returns how it stands afterwards, which is
 * `half detached` when somebody had to wait for us, or somebody cancelled it.
 *
 * @throws {EbbError} when those who are at work on the parent do not end in time
 * @throws what PostgreSQL says when the partition is still attached
 */
export async function detachConcurrently(
  step: DetachStep,
  oid: string,
  context: TableContext,
  lockLimits: LockLimits,
): Promise<PartitionState> {
  const { session, journalSchema, lease } = context
  await holdersGone(step.table, context, lockLimits)
  await assertLease(session, journalSchema, lease)
  let failure: unknown
  await session.query('set lock_timeout = 0')
  try {
    await watched(context.control, context.pid, context.observer, () =>
      givingWay(context, lockLimits.deadlineMs, async () => {
        for (const statement of step.statements) await session.query(statement)
      }),
    )
  } catch (error) {
    if (isConnectionLost(error)) throw error
    failure = error
  } finally {
    await session.query("set lock_timeout = '500ms'").catch(() => {}) // a lost connection has nothing to reset
  }
  if (failure === undefined) return 'detached'
  const { state } = await readState(session, step.table, { oid, name: step.partition })
  if (state === 'attached') throw explained(step, failure)
  return state
}

const LOOK_FIRST_MS = 10
const LOOK_EVERY_MS = 100

/** Those who are at work when we begin; whoever comes after them is waited for by the detach itself. */
async function holdersGone(table: TableName, context: TableContext, { deadlineMs }: LockLimits): Promise<void> {
  const deadline = performance.now() + deadlineMs
  const read = () => readHolders(context.control, [table], context.pid)
  let pauseMs = LOOK_FIRST_MS
  for (let waitedFor = await read(); waitedFor.length > 0; pauseMs = Math.min(2 * pauseMs, LOOK_EVERY_MS)) {
    await sleep(pauseMs, undefined, { signal: context.signal })
    const transactions = new Set(waitedFor.map(({ transaction }) => transaction))
    waitedFor = (await read()).filter(({ transaction }) => transactions.has(transaction))
    if (waitedFor.length === 0 || pauseMs < LOOK_EVERY_MS) continue
    const who = waitedFor.slice(0, 3).map(describeHolder).join('; ')
    if (performance.now() > deadline) throw busy(table, who, deadlineMs)
    context.observer({ type: 'waiting', reason: `for ${who}` })
  }
}

/** How long somebody may have to wait for us. */
const IN_THE_WAY_MS = 100
const WATCH_EVERY_MS = 25

/** Cancels what the working session does when somebody waits for it, or when it takes longer than `deadlineMs`. */
async function givingWay(context: TableContext, deadlineMs: number, work: () => Promise<void>): Promise<void> {
  const stop = new AbortController()
  const guarding = guard(context, performance.now() + deadlineMs, stop.signal)
  try {
    await work()
  } finally {
    stop.abort()
    await guarding
  }
}

async function guard({ control, pid, observer }: TableContext, deadline: number, signal: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await sleep(WATCH_EVERY_MS, undefined, { signal })
      const waiting = await readWaiting(control, pid)
      const late = performance.now() > deadline
      if (waiting.length === 0 && !late) continue
      observer({
        type: 'note',
        text: late ? 'it takes too long: cancelled' : `${waiting.join(', ')} waits for us: cancelled`,
      })
      if (!signal.aborted) await control.query(sql`select pg_cancel_backend(${pid})`)
      return
    }
  } catch (error) {
    if (signal.aborted) return
    observer({ type: 'note', text: `whether somebody waits for us can no longer be seen: ${String(error)}` })
  }
}

async function readWaiting(control: Session, pid: number): Promise<string[]> {
  const rows = await readAll<{ who: string }>(
    control,
    sql`
    select format('pid %s', l.pid) as who from pg_locks l
    where not l.granted and l.waitstart < clock_timestamp() - make_interval(secs => ${IN_THE_WAY_MS / 1000})
      and ${pid} = any (pg_blocking_pids(l.pid))`,
  )
  return rows.map(({ who }) => who)
}

/**
 * Waits until no transaction is left that began before we looked: `finalize`
 * waits for all their snapshots, and would hold its locks meanwhile.
 */
export async function oldSnapshotsGone(context: TableContext, deadlineMs: number): Promise<void> {
  const deadline = performance.now() + deadlineMs
  const first = await readSnapshots(context)
  for (let left = first; ;) {
    await sleep(left.length === 0 ? 0 : LOOK_EVERY_MS, undefined, { signal: context.signal })
    if (left.length === 0) return
    const now = new Set((await readSnapshots(context)).map(({ snapshot }) => snapshot))
    left = left.filter(({ snapshot }) => now.has(snapshot))
    if (left.length === 0) return
    const who = left
      .slice(0, 3)
      .map((one) => one.who)
      .join('; ')
    if (performance.now() > deadline) throw stillSeen(who, deadlineMs)
    context.observer({ type: 'waiting', reason: `for the snapshot of ${who}` })
  }
}

async function readSnapshots({ control, pid }: TableContext): Promise<{ snapshot: string; who: string }[]> {
  return readAll(
    control,
    sql`
    select format('%s %s', a.pid, a.backend_xmin) as snapshot,
      format('pid %s (%s)', a.pid, concat_ws(', ', nullif(a.application_name, ''), a.usename)) as who
    from pg_stat_activity a
    where a.datname = current_database() and a.backend_xmin is not null and a.pid not in (pg_backend_pid(), ${pid})
      and a.backend_type is distinct from 'autovacuum worker'`,
  )
}

function explained({ title, partition, table }: DetachStep, error: unknown): unknown {
  const code = codeOf(error)
  const state = `${display(partition)} is attached as before.`
  const reason = reasonOf(error)
  if (code === SQLSTATE.foreignKeyViolation)
    return new EbbError(
      `${display(partition)} cannot be detached: rows of other tables refer to its rows (${reason})`,
      {
        state,
        next: `Remove or re-point the rows that refer to it; the next rotation of ${display(table)} tries again.`,
      },
      'failed',
      error,
    )
  if (code === SQLSTATE.queryCanceled)
    return new EbbError(
      `${title}: cancelled, for somebody had to wait for it or it took too long`,
      {
        state,
        next: 'Nothing needs to be done: the next rotation tries again. Where foreign keys point at the table, an index on their columns makes it quick.',
      },
      'try later',
      error,
    )
  return new EbbError(
    `${title}: ${reason}`,
    { state, next: 'Remove the cause; the next rotation tries again.' },
    'failed',
    error,
  )
}

function busy(table: TableName, who: string, deadlineMs: number): EbbError {
  return new EbbError(
    `${quoted(table).text} was never free of those at work on it within ${Math.round(deadlineMs / 1000)} s: ${who}`,
    { state: 'The partition is attached as before.', next: 'When they have ended, rotate again.' },
    'try later',
  )
}

function stillSeen(who: string, deadlineMs: number): EbbError {
  return new EbbError(
    `an interrupted detach could not be finished within ${Math.round(deadlineMs / 1000)} s: ${who} may still see the partition`,
    {
      state: 'The partition stays half detached: its rows can be neither seen nor written through the parent.',
      next: 'When they have ended, rotate again.',
    },
    'try later',
  )
}
