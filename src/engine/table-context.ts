import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerModel } from '../catalog/server-model.ts'
import { backendPid } from '../db/pooler.ts'
import { lossExplained } from '../db/connection-error.ts'
import { openSession, willBeCancelled, type Session, type Target } from '../db/session.ts'
import { Sockets } from '../db/sockets.ts'
import { codeOf, isLockRefused, reasonOf, SQLSTATE } from '../db/sqlstate.ts'
import { EbbError, NOTHING_CHANGED } from '../errors.ts'
import type { Interval } from '../grid/interval.ts'
import { releaseLease, renewLease, takeLease, type Lease } from '../journal/lease.ts'
import { migrateJournal } from '../journal/migrate.ts'
import { pruneJournal } from '../journal/prune.ts'
import { keepJournal } from '../journal/retention.ts'
import { DEFAULT_PACING, type Pacing } from '../pacing/limits.ts'
import { firesNoTriggers } from '../plan/table/objections/server.ts'
import type { Emit, Observer } from '../events.ts'
import type { TableName } from '../sql/names.ts'
import { assertOwnCode } from './first-look.ts'
import type { HoldWatch } from './hold-watch.ts'
import { LOCK_LIMITS, type LockLimits, type ShortLockSessions } from './locks/short-locks.ts'
import type { Turns } from './purge/turns.ts'
import { SIZES, type CopySizes } from './copy/sizes.ts'

/** The context of work on a table: two sessions, the lease of the table, and the observer. */
export interface TableContext {
  /** For further sessions of the same run, and their common name. */
  readonly target: Target
  readonly holder: string
  /** The working session. */
  readonly session: Session
  readonly pid: number
  /** The monitoring session: polls, renews the lease, cancels. */
  readonly control: Session
  readonly server: ServerModel
  readonly journalSchema: string
  readonly lease: Lease
  readonly copySizes: CopySizes
  readonly pacing: Pacing
  readonly lockLimits: LockLimits
  /** Of age, to read encrypted archives. */
  readonly identities: readonly string[]
  /** Paces the batches of a purge; by default the pace of the run. */
  readonly turns: Turns | undefined
  /** Null where no rows are removed, or holds on them are accepted. */
  readonly holds: HoldWatch | null
  readonly observer: Emit
  readonly signal: AbortSignal
}

/** The context of a run on the table. */
export interface RunContext extends TableContext {
  readonly runId: string
}

/** The run, named in its events. */
export function runIn(context: TableContext, runId: string): RunContext {
  return { ...context, runId, observer: (event) => context.observer({ runId, ...event }) }
}

export interface TableContextOptions {
  readonly target: Target
  readonly server: ServerModel
  readonly journalSchema: string
  readonly command: string
  /** Further tables that the work is on: it has the leases of all. */
  readonly others?: readonly TableName[]
  readonly accept?: readonly string[]
  readonly copySizes?: CopySizes
  readonly pacing?: Pacing
  readonly lockLimits?: LockLimits
  readonly identities?: readonly string[]
  readonly keepJournal?: Interval
  readonly turns?: Turns
  readonly observer: Observer
  readonly signal: AbortSignal
}

const RENEW_EVERY_MS = 10_000
/** Commands that run no code of the table: they neither read nor write rows. */
const UNDOING: readonly string[] = ['abandon', 'retire']
/** After this long without a response the server counts as down. Together with the above: detected within a minute. */
const SILENT_MS = 30_000

/**
 * Opens sessions, migrates the journal, takes the lease of the table and its `others`, does `work`, and releases everything. An abort
 * cancels the running statement; its transaction is rolled back.
 */
export async function withTable<T>(
  options: TableContextOptions,
  table: TableName,
  work: (context: TableContext) => Promise<T>,
): Promise<T> {
  if (options.server.inRecovery) throw onReplica()
  if (!options.server.firesTriggers) throw withoutTriggers(options.server)
  // All sessions of a run share a name, by which other runs see whether it is alive.
  const holder = `${options.command} ${randomBytes(3).toString('hex')}`
  const sockets = new Sockets()
  const target = sockets.through(options.target)
  // Where sessions are handed on, it is the one of the plan, which has read the catalogue already.
  const session = await openSession(target, holder)
  const worker = { session, end: once(() => session.end()) }
  try {
    if (!UNDOING.includes(options.command)) await assertOwnCode(session, options.server, table, options)
    await migrateJournal(session, options.journalSchema)
    return await withLease({ ...options, target }, table, holder, sockets, worker, work)
  } catch (error) {
    await worker.end()
    throw explained(error, options.signal)
  }
}

/** The working session. */
interface Worker {
  readonly session: Session
  /** May be called more than once. */
  readonly end: () => Promise<void>
}

function once<T>(act: () => T): () => T {
  let result: { readonly of: T } | undefined
  return () => (result ??= { of: act() }).of
}

async function withLease<T>(
  options: TableContextOptions,
  table: TableName,
  holder: string,
  sockets: Sockets,
  worker: Worker,
  work: (context: TableContext) => Promise<T>,
): Promise<T> {
  const { target, journalSchema } = options
  const control = await openSession(target, holder)
  try {
    // It commits heartbeats, which an unavailable standby must not delay.
    await control.query('set synchronous_commit = local')
    const lease = await takeLease(control, journalSchema, table, `ebb ${holder}`, options.others)
    try {
      // Before anything is removed.
      if (options.keepJournal !== undefined) await keepJournal(control, journalSchema, table, options.keepJournal)
      return await withPulse(control, journalSchema, lease, sockets, async () => {
        const result = await withWorker(options, table, holder, worker, control, lease, work)
        await prune(control, table, options)
        return result
      })
    } finally {
      // After a lost connection, or a crash of the server, the lease is free anyway: its sessions have ended.
      await control.query('set synchronous_commit = off').catch(() => {})
      await releaseLease(control, journalSchema, lease).catch(() => {})
    }
  } finally {
    await control.end()
  }
}

/** Prunes the journal, best effort. */
export async function prune(
  control: Session,
  table: TableName,
  { journalSchema, observer }: Pick<TableContextOptions, 'journalSchema' | 'observer'>,
): Promise<void> {
  await pruneJournal(control, journalSchema).catch((error: unknown) => {
    observer({
      table,
      runId: null,
      type: 'note',
      text: `old runs were not pruned from the journal: ${reasonOf(error)}`,
    })
  })
}

function onReplica(): EbbError {
  return new EbbError(
    'this server is a replica',
    { state: 'Nothing has been changed.', next: 'Connect to the primary: a replica is read-only.' },
    'objections',
  )
}

/** A plan has this as an objection; a run that is resumed, abandoned or rolled back has its plan already. */
function withoutTriggers(server: ServerModel): EbbError {
  const { what, fix } = firesNoTriggers(server)
  return new EbbError(what, { state: NOTHING_CHANGED, next: fix }, 'objections')
}

// Errors of a step are already explained; this is for those between steps.
function explained(error: unknown, signal: AbortSignal): unknown {
  if (error instanceof EbbError) return error
  if (signal.aborted && codeOf(error) === SQLSTATE.queryCanceled)
    return new EbbError(
      'stopped',
      { state: 'Committed work is kept.', next: 'Run the same command again: it resumes where it stopped.' },
      'stopped',
      error,
    )
  if (isLockRefused(error))
    return new EbbError(
      `a lock was not free within its timeout: ${reasonOf(error)}`,
      { state: 'What was done before is kept.', next: 'Run the same command again: it resumes from there.' },
      'try later',
      error,
    )
  return lossExplained(error)
}

async function withWorker<T>(
  options: TableContextOptions,
  table: TableName,
  holder: string,
  { session, end }: Worker,
  control: Session,
  lease: Lease,
  work: (context: TableContext) => Promise<T>,
): Promise<T> {
  const pid = await backendPid(session)
  const ended = new AbortController()
  const cancel = () => {
    willBeCancelled(session)
    void cancelUntil(ended.signal, control, pid)
  }
  options.signal.addEventListener('abort', cancel)
  try {
    const { server, journalSchema, observer, signal } = options
    const result = await work({
      target: options.target,
      holder,
      session,
      pid,
      control,
      server,
      journalSchema,
      lease,
      copySizes: options.copySizes ?? SIZES,
      pacing: options.pacing ?? DEFAULT_PACING,
      lockLimits: options.lockLimits ?? LOCK_LIMITS,
      identities: options.identities ?? [],
      turns: options.turns,
      holds: null,
      observer: (event) => observer({ table, runId: null, ...event }),
      signal,
    })
    // A backend that has touched much memory takes a tenth of a second to exit: no need to wait for that.
    void end()
    return result
  } catch (error) {
    // It may still be running; the lease is not free until it has exited.
    await end()
    throw error
  } finally {
    options.signal.removeEventListener('abort', cancel)
    ended.abort()
  }
}

const CANCEL_EVERY_MS = 200

/** Repeatedly: a cancel between two statements has no effect, and the next may be a long one. */
export async function cancelUntil(ended: AbortSignal, control: Session, pid: number): Promise<void> {
  do await control.query('select pg_cancel_backend($1::int)', [pid]).catch(() => {})
  while (await pause(CANCEL_EVERY_MS, ended))
}

/**
 * Renews the lease during `work`. This also detects a server that is down: if it does not respond, all connections
 * are destroyed.
 */
export async function withPulse<T>(
  control: Session,
  schema: string,
  lease: Lease,
  sockets: Sockets,
  work: () => Promise<T>,
): Promise<T> {
  const ended = new AbortController()
  const beating = beat(control, schema, lease, sockets, ended.signal)
  try {
    return await work()
  } finally {
    ended.abort()
    await beating
  }
}

async function beat(
  control: Session,
  schema: string,
  lease: Lease,
  sockets: Sockets,
  ended: AbortSignal,
): Promise<void> {
  while (await pause(RENEW_EVERY_MS, ended)) {
    const silence = setTimeout(() => sockets.destroy(noAnswer()), SILENT_MS)
    // An error is a response. After a failed renewal the next one may succeed; if none does, the work's own checks
    // fail.
    await renewLease(control, schema, lease).catch(() => {})
    clearTimeout(silence)
  }
}

/** As the kernel would report it, only much later. */
function noAnswer(): Error {
  return Object.assign(new Error(`no answer from the server for ${SILENT_MS / 1000} s`), { code: 'ETIMEDOUT' })
}

/** False if the signal came first. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return sleep(ms, true, { signal }).catch(() => false)
}

/** The sessions for short locks; `isDurableLater` where a later commit of the run waits for the disk. */
export function sessionsOf(
  { session, pid, control, server, journalSchema, lease }: TableContext,
  { isDurableLater = false }: { readonly isDurableLater?: boolean } = {},
): ShortLockSessions {
  const durable = async () => {
    if (!isDurableLater) await renewLease(session, journalSchema, lease)
  }
  return { session, pid, control, deadlockTimeoutMs: server.deadlockTimeoutMs, durable }
}
