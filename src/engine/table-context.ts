import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerModel } from '../catalog/server-model.ts'
import { backendPid } from '../db/pooler.ts'
import { connectionLost, openSession, type Session, type Target } from '../db/session.ts'
import { Sockets } from '../db/sockets.ts'
import { codeOf, isConnectionLost, SQLSTATE } from '../db/sqlstate.ts'
import { EbbError, NOTHING_CHANGED, reasonOf } from '../errors.ts'
import { releaseLease, renewLease, takeLease, type Lease } from '../journal/lease.ts'
import { migrateJournal } from '../journal/migrate.ts'
import { pruneJournal } from '../journal/prune.ts'
import { DEFAULT_PACING, type Pacing } from '../pacing/limits.ts'
import { firesNoTriggers } from '../plan/table/server-objections.ts'
import type { Emit, Observer } from '../events.ts'
import type { TableName } from '../sql/names.ts'
import { assertOwnCode } from './first-look.ts'
import { LOCK_LIMITS, type LockLimits } from './locks/short-locks.ts'
import type { Turns } from './purge/turns.ts'
import { SIZES, type CopySizes } from './copy/sizes.ts'

/** Where a run takes place: two sessions, the lease of the table, and whoever listens. */
export interface TableContext {
  /** For further sessions of the same run, and the name they all have. */
  readonly target: Target
  readonly holder: string
  /** Does the work. */
  readonly session: Session
  readonly pid: number
  /** Looks around, renews the lease, cancels. */
  readonly control: Session
  readonly server: ServerModel
  readonly journalSchema: string
  readonly lease: Lease
  readonly copySizes: CopySizes
  readonly pacing: Pacing
  readonly lockLimits: LockLimits
  /** Who paces the batches of a purge; without one it is the pace of the run. */
  readonly turns: Turns | undefined
  readonly observer: Emit
  readonly signal: AbortSignal
}

/** A run on the table. */
export interface RunContext extends TableContext {
  readonly runId: string
}

/** The run, which its events name. */
export function runIn(context: TableContext, runId: string): RunContext {
  return { ...context, runId, observer: (event) => context.observer({ runId, ...event }) }
}

export interface TableContextOptions {
  readonly target: Target
  readonly server: ServerModel
  readonly journalSchema: string
  readonly command: string
  readonly accept?: readonly string[]
  readonly copySizes?: CopySizes
  readonly pacing?: Pacing
  readonly lockLimits?: LockLimits
  readonly turns?: Turns
  readonly observer: Observer
  readonly signal: AbortSignal
}

const RENEW_EVERY_MS = 10_000
/** They run no code of the table's: no row is written, and nobody is asked for any. */
const UNDOING: readonly string[] = ['abandon', 'retire']
/** A server that says nothing for so long has gone. Together with the above: whoever waits for it is told within a minute. */
const SILENT_MS = 30_000

/**
 * Opens sessions, brings the journal up to date, takes the lease of the table,
 * does `work`, and leaves everything as it was. An abort cancels the statement
 * that is running; a transaction in which it runs is rolled back.
 */
export async function withTable<T>(
  options: TableContextOptions,
  table: TableName,
  work: (context: TableContext) => Promise<T>,
): Promise<T> {
  if (options.server.inRecovery) throw onReplica()
  if (!options.server.firesTriggers) throw withoutTriggers(options.server)
  // All sessions of a run share a name, by which another run sees whether this one is alive.
  const holder = `${options.command} ${randomBytes(3).toString('hex')}`
  const sockets = new Sockets()
  const target = sockets.through(options.target)
  const control = await openSession(target, holder)
  try {
    // What it commits are signs of life: a standby that is away must not make them late.
    await control.query('set synchronous_commit = local')
    if (!UNDOING.includes(options.command)) await assertOwnCode(control, options.server, table, options)
    await migrateJournal(control, options.journalSchema)
    const lease = await takeLease(control, options.journalSchema, table, `ebb ${holder}`)
    try {
      return await withPulse(control, options.journalSchema, lease, sockets, async () => {
        const result = await withWorker({ ...options, target }, table, holder, control, lease, work)
        await prune(control, table, options)
        return result
      })
    } finally {
      // When the connection is lost the lease is free anyway: its sessions are gone.
      await releaseLease(control, options.journalSchema, lease).catch(() => {})
    }
  } catch (error) {
    throw explained(error, options.signal)
  } finally {
    await control.end()
  }
}

/** The work is done whether this is or not. */
async function prune(
  control: Session,
  table: TableName,
  { journalSchema, observer }: TableContextOptions,
): Promise<void> {
  await pruneJournal(control, journalSchema).catch((error: unknown) => {
    observer({
      table,
      runId: null,
      type: 'note',
      text: `what is over stays in the journal for now: ${reasonOf(error)}`,
    })
  })
}

function onReplica(): EbbError {
  return new EbbError(
    'this server is a replica',
    { state: 'Nothing has been changed.', next: 'Connect to the primary: nothing can be changed here.' },
    'objections',
  )
}

/** A plan says so by itself; a run that is resumed, abandoned or rolled back has one already. */
function withoutTriggers(server: ServerModel): EbbError {
  const { what, fix } = firesNoTriggers(server)
  return new EbbError(what, { state: NOTHING_CHANGED, next: fix }, 'objections')
}

// What comes from a step has been explained already; this is what happens between steps.
function explained(error: unknown, signal: AbortSignal): unknown {
  if (error instanceof EbbError) return error
  if (signal.aborted && codeOf(error) === SQLSTATE.queryCanceled)
    return new EbbError(
      'stopped',
      { state: 'What was done before is kept.', next: 'Run the same command again: it resumes from there.' },
      'stopped',
      error,
    )
  return isConnectionLost(error) ? connectionLost(error) : error
}

async function withWorker<T>(
  options: TableContextOptions,
  table: TableName,
  holder: string,
  control: Session,
  lease: Lease,
  work: (context: TableContext) => Promise<T>,
): Promise<T> {
  const session = await openSession(options.target, holder)
  const pid = await backendPid(session)
  const ended = new AbortController()
  const cancel = () => void cancelUntil(ended.signal, control, pid)
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
      turns: options.turns,
      observer: (event) => observer({ table, runId: null, ...event }),
      signal,
    })
    // A server process that has touched much memory takes a tenth of a second to leave: nobody has to wait for that.
    void session.end()
    return result
  } catch (error) {
    // It may still be at work; nobody else gets the lease before it has gone.
    await session.end()
    throw error
  } finally {
    options.signal.removeEventListener('abort', cancel)
    ended.abort()
  }
}

const CANCEL_EVERY_MS = 200

/** Again and again: what comes between two statements cancels nothing, and the next may be a long one. */
export async function cancelUntil(ended: AbortSignal, control: Session, pid: number): Promise<void> {
  do await control.query('select pg_cancel_backend($1)', [pid]).catch(() => {})
  while (await pause(CANCEL_EVERY_MS, ended))
}

/**
 * Renews the lease while `work` is under way. That is the pulse of the run as
 * well: a server that does not answer any more has gone, and nothing that waits for it is waited for.
 */
async function withPulse<T>(
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
    // An error is an answer. A renewal that fails is made up for by the next; when none succeeds the work finds out by its own checks.
    await renewLease(control, schema, lease).catch(() => {})
    clearTimeout(silence)
  }
}

/** As the kernel would put it, if it were not so patient. */
function noAnswer(): Error {
  return Object.assign(new Error(`no answer from the server for ${SILENT_MS / 1000} s`), { code: 'ETIMEDOUT' })
}

/** False when the signal came first. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return sleep(ms, true, { signal }).catch(() => false)
}

/** Those that short locks are taken and looked for with. */
export function sessionsOf({ session, pid, control, server }: TableContext) {
  return { session, pid, control, deadlockTimeoutMs: server.deadlockTimeoutMs }
}
