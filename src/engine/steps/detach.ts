import { setTimeout as sleep } from 'node:timers/promises'
import { describeHolder, readHolders } from '../../db/holders.ts'
import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { codeOf, isConnectionLost, reasonOf, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError } from '../../errors.ts'
import { assertLease } from '../../journal/lease.ts'
import type { DetachStep } from '../../plan/language/step.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import type { LockLimits } from '../locks/short-locks.ts'
import { Standstill } from '../locks/standstill.ts'
import { thereFromTheBeginning, waitUntilGone } from '../locks/wait-until-gone.ts'
import type { TableContext } from '../table-context.ts'

// `detach … concurrently` runs in two transactions. Invariants:
//
//   - Transactions using the parent are waited for by polling, before it starts: once started, the detach is pending
//     until they end.
//   - It runs without a lock timeout, which would leave the detach pending. Instead another session polls for
//     sessions waiting for us, and cancels it when they have waited for 100 ms.
//   - Its error is not interpreted: the state of the partition is read from the catalogue, by oid.

/** The state of a partition. */
export type PartitionState = 'attached' | 'detach pending' | 'detached' | 'gone'

/** The state of a relation of this oid and name as a partition of a parent, and its bounds in the catalogue. */
export async function readState(
  session: Session,
  parent: TableName,
  partition: { readonly oid: string; readonly name: TableName },
): Promise<{ readonly state: PartitionState; readonly boundsText: string | null }> {
  const [row] = await readAll<{ state: PartitionState; boundsText: string | null }>(
    session,
    sql`
    select case when not c.relispartition then 'detached' when h.inhrelid is null then 'gone'
        when h.inhdetachpending then 'detach pending' else 'attached' end as state, pg_get_expr(c.relpartbound, c.oid) as "boundsText"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join (pg_inherits h join pg_class p on p.oid = h.inhparent join pg_namespace pn on pn.oid = p.relnamespace)
      on h.inhrelid = c.oid and p.relname = ${parent.name} and pn.nspname = ${parent.schema}
    where c.oid = ${partition.oid} and c.relname = ${partition.name.name} and n.nspname = ${partition.name.schema}`,
  )
  return row ?? { state: 'gone', boundsText: null }
}

/**
 * Detaches a partition concurrently. Returns its state, which is `detach pending` if a session had to wait for us, or
 * it was cancelled by another session.
 *
 * @param check checked right before, when no transaction has to be waited for any more
 * @throws {EbbError} if the transactions using the parent do not end in time
 * @throws the error of PostgreSQL if the partition is still attached
 */
export async function detach(
  step: DetachStep,
  context: TableContext,
  { deadlineMs }: LockLimits,
  check: () => Promise<void> = async () => {},
): Promise<'detached' | 'detach pending'> {
  const { session, journalSchema, lease } = context
  await holdersGone(step.table, context, deadlineMs)
  await assertLease(session, journalSchema, lease)
  await check()
  let failure: unknown
  await session.query('set lock_timeout = 0')
  try {
    await givingWay(context, deadlineMs, async () => {
      for (const statement of step.statements) await session.query(statement)
    })
  } catch (error) {
    if (isConnectionLost(error)) throw error
    failure = error
  } finally {
    await session.query("set lock_timeout = '500ms'").catch(() => {}) // after a lost connection there is nothing to reset
  }
  if (failure === undefined) return 'detached'
  const { state } = await readState(session, step.table, { oid: step.oid, name: step.partition })
  if (state === 'attached') throw explained(step, failure)
  if (state === 'gone') throw changed(step.partition, 'it is gone')
  return state
}

/** Another session has changed it. */
export function changed(partition: TableName, how: string): EbbError {
  return new EbbError(`${display(partition)} has changed since the plan was made: ${how}`, {
    state: 'It was left unchanged.',
    next: 'Find out which other session works on this table; the next rotation makes a new plan.',
  })
}

/** Transactions using it when we start; later ones are waited for by the detach itself. */
async function holdersGone(table: TableName, context: TableContext, mostMs: number): Promise<void> {
  const read = () => readHolders(context.control, [table], context.pid)
  const first = thereFromTheBeginning(read, ({ transaction }) => transaction)
  const look = async () => (await first()).map((holder) => ({ pid: holder.pid, who: describeHolder(holder) }))
  const left = await gone(context, look, mostMs, 'for')
  if (left.length > 0) throw busy(table, left.join('; '), mostMs)
}

/**
 * Waits for all transactions that are running now: `finalize` waits for their snapshots, and would hold its locks
 * meanwhile.
 */
export async function oldSnapshotsGone(context: TableContext, mostMs: number): Promise<void> {
  const first = thereFromTheBeginning(
    () => readSnapshots(context),
    ({ snapshot }) => snapshot,
  )
  const left = await gone(context, first, mostMs, 'for the snapshot of')
  if (left.length > 0) throw stillSeen(left.join('; '), mostMs)
}

interface Present {
  readonly pid: number | null
  readonly who: string
}

function gone(
  { control, lockLimits, signal, observer }: TableContext,
  read: () => Promise<readonly Present[]>,
  mostMs: number,
  what: string,
) {
  const standstill = new Standstill(control, lockLimits)
  const look = async () => {
    const present = await read()
    await standstill.look(present.map(({ pid }) => pid))
    return present.slice(0, 3).map(({ who }) => who)
  }
  const tell = (who: readonly string[]) => observer({ type: 'waiting', reason: `${what} ${who.join('; ')}` })
  return waitUntilGone({ look, mostMs, signal, tell })
}

/** How long a session may wait for us. */
const IN_THE_WAY_MS = 100
const WATCH_EVERY_MS = 25

/** Cancels the statement of the working session if a session waits for it, or if it takes longer than `deadlineMs`. */
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
        text: late ? 'taking too long: cancelled' : `${waiting.join(', ')} is waiting for us: cancelled`,
      })
      if (!signal.aborted) await control.query(sql`select pg_cancel_backend(${pid}::int)`)
      return
    }
  } catch (error) {
    if (signal.aborted) return
    observer({ type: 'note', text: `sessions waiting for us can no longer be detected: ${String(error)}` })
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

async function readSnapshots({ control, pid }: TableContext): Promise<(Present & { snapshot: string })[]> {
  return readAll(
    control,
    sql`
    select a.pid, format('%s %s', a.pid, a.backend_xmin) as snapshot,
      format('pid %s (%s)', a.pid, concat_ws(', ', nullif(a.application_name, ''), a.usename)) as who
    from pg_stat_activity a
    where a.datname = current_database() and a.backend_xmin is not null and a.pid not in (pg_backend_pid(), ${pid})
      and a.backend_type is distinct from 'autovacuum worker'`,
  )
}

function explained({ title, partition, table }: DetachStep, error: unknown): unknown {
  const code = codeOf(error)
  const state = `${display(partition)} is still attached.`
  if (code === SQLSTATE.foreignKeyViolation)
    return new EbbError(
      `${display(partition)} cannot be detached: rows of other tables reference its rows (${reasonOf(error)})`,
      {
        state,
        next: `Delete or re-point the rows that reference it; the next rotation of ${display(table)} retries.`,
      },
      'failed',
      error,
    )
  if (code === SQLSTATE.queryCanceled)
    return new EbbError(
      `${title}: cancelled, because it kept another session waiting or took too long`,
      {
        state,
        next: 'No action needed: the next rotation retries. If foreign keys reference the table, an index on their columns makes it fast.',
      },
      'try later',
      error,
    )
  return error
}

function busy(table: TableName, who: string, deadlineMs: number): EbbError {
  return new EbbError(
    `${quoted(table).text} was in use throughout ${Math.round(deadlineMs / 1000)} s: ${who}`,
    { state: 'The partition is still attached.', next: 'When they have ended, run ebb rotate again.' },
    'try later',
  )
}

function stillSeen(who: string, deadlineMs: number): EbbError {
  return new EbbError(
    `an interrupted detach could not be finished within ${Math.round(deadlineMs / 1000)} s: ${who} may still use the partition`,
    {
      state: 'The detach is still pending: the partition’s rows can be neither read nor written through the parent.',
      next: 'When they have ended, run ebb rotate again.',
    },
    'try later',
  )
}
