import { inOneGo } from '../db/in-one-go.ts'
import { inTransaction, readOne } from '../db/session.ts'
import { codeOf, isConnectionLost, isLockRefused, SQLSTATE } from '../db/sqlstate.ts'
import { EbbError, EXIT, reasonOf } from '../errors.ts'
import { doneSteps, noteError, recordStep } from '../journal/journal.ts'
import { assertLease } from '../journal/lease.ts'
import type { IndexStep, OnlineStep, PurgeStep, Step } from '../plan/step.ts'
import type { PaceSummary } from '../pacing/summary.ts'
import type { LockTimes, Observer } from '../report/events.ts'
import { display, quoted, type TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { PATIENCE, underBriefLocks, type Patience } from './brief.ts'
import { assertCaptured } from './copy/captured.ts'
import { copyChunks } from './copy/copy.ts'
import { reconcile } from './copy/reconcile.ts'
import { verify } from './copy/verify.ts'
import { check, purgeRows, vacuum } from './purge/run-steps.ts'
import type { Turns } from './purge/turns.ts'
import { withPace } from './pace.ts'
import { rehearse } from './rehearse.ts'
import { swap } from './swap.ts'
import { watched } from './watch.ts'
import type { Workplace } from './workplace.ts'

/** What was done and what it cost. */
export interface StepResult {
  readonly key: string
  readonly milliseconds: number
  readonly lock: LockTimes | null
  /** Of a step that works in pieces. */
  readonly pace: PaceSummary | null
}

export interface ExecuteOptions {
  readonly patience?: Patience | undefined
  /** Who paces the batches of a purge. */
  readonly turns?: Turns | undefined
  /** What else belongs into the transaction of a step, by its key: what is true from then on; one query each. */
  readonly alongside?: Readonly<Record<string, (place: Workplace) => readonly Promise<void>[]>>
}

/** Carries out what is left of a run; when it stops, the journal says why. */
export async function executeRun(
  runId: string,
  steps: readonly Step[],
  place: Workplace,
  options: ExecuteOptions = {},
): Promise<StepResult[]> {
  try {
    await noteError(place.session, place.journalSchema, runId, null)
    return await execute(runId, steps, place, options)
  } catch (error) {
    const reason = reasonOf(error)
    // By the session that looks around: the one at work may be what was lost. If both were, the reason is told all the same.
    await noteError(place.control, place.journalSchema, runId, reason).catch(() => {})
    throw error
  }
}

/**
 * Carries out the steps that the journal does not have yet, in order, and
 * stops at the first that fails. A step that is a transaction commits together
 * with its entry, so whenever this is killed, calling it again goes on rightly.
 */
async function execute(
  runId: string,
  steps: readonly Step[],
  place: Workplace,
  options: ExecuteOptions = {},
): Promise<StepResult[]> {
  const done = await doneSteps(place.session, place.journalSchema, runId)
  const begun = steps.filter(({ key }) => done.has(key)).length
  if (begun > 0) place.observer({ type: 'resumed', runId, done: begun, of: steps.length })
  const results: StepResult[] = []
  for (const [position, step] of steps.entries()) {
    if (done.has(step.key)) continue
    place.observer({ type: 'step started', step, position, of: steps.length })
    if (place.signal.aborted) throw stoppedBefore(step)
    const began = performance.now()
    const { lock, pace } = await attempt(runId, step, place, options)
    const milliseconds = performance.now() - began
    place.observer({ type: 'step finished', step, milliseconds, lock })
    results.push({ key: step.key, milliseconds, lock, pace })
  }
  return results
}

async function attempt(
  runId: string,
  step: Step,
  place: Workplace,
  options: ExecuteOptions,
): Promise<Pick<StepResult, 'lock' | 'pace'>> {
  let waitedFor: string | null = null
  let pace: PaceSummary | null = null
  const listen: Observer = (event) => {
    if (event.type === 'waiting') waitedFor = event.reason
    place.observer(event)
  }
  const observer: Observer = (event) => {
    if (event.type === 'paced') pace = event.pace
    place.observer(event)
  }
  try {
    const paced = { ...place, observer }
    const lock = await watched(place.control, place.pid, listen, () => perform(runId, step, paced, options))
    return { lock, pace }
  } catch (error) {
    throw explained(step, error, place, waitedFor)
  }
}

// No default branch: a new kind of step does not compile until it is handled here.
async function perform(
  runId: string,
  step: Step,
  place: Workplace,
  options: ExecuteOptions,
): Promise<LockTimes | null> {
  const began = performance.now()
  const record = () =>
    inOneGo(place.session, () => [
      ...(options.alongside?.[step.key]?.(place) ?? []),
      recordStep(place.session, place.journalSchema, runId, step.key, performance.now() - began),
    ])
  // Of a step that is no transaction by itself.
  const recordAlone = () =>
    inTransaction(place.session, {}, async () => {
      await assertLease(place.session, place.journalSchema, place.lease)
      await record()
    })
  switch (step.kind) {
    case 'rehearse':
      await rehearse(step, place)
      await recordAlone()
      return null
    case 'index':
      await buildIndex(step, place, options.patience ?? PATIENCE)
      await recordAlone()
      return null
    case 'drop index':
      await assertLease(place.session, place.journalSchema, place.lease)
      await waitingOthersOut(place, options.patience ?? PATIENCE, async () => {
        for (const statement of step.statements) await place.session.query(statement)
      })
      await recordAlone()
      return null
    case 'copy':
      await copyChunks(step, runId, place)
      await recordAlone()
      return null
    case 'reconcile':
      await reconcile(step, place)
      await recordAlone()
      return null
    case 'verify':
      await assertCaptured(place.session, place.journalSchema, step.work)
      await verify(step, place)
      await recordAlone()
      return null
    case 'purge':
      await purgeAtPace(step, runId, place, options)
      await recordAlone()
      return null
    case 'vacuum':
      await atPace([step.table], place, options, (turns) => vacuum(step, runId, place, turns))
      await recordAlone()
      return null
    case 'check':
      await check(step, runId, place)
      await recordAlone()
      return null
    case 'alone':
      for (const statement of step.statements) await place.session.query(statement)
      await recordAlone()
      return null
    case 'online':
      await runOnline(step, place, options.patience ?? PATIENCE, record)
      return null
    case 'brief':
      return underBriefLocks(sessionsOf(place), step, options.patience ?? PATIENCE, place.observer, place.signal, () =>
        inOneGo(place.session, () => [
          assertLease(place.session, place.journalSchema, place.lease),
          place.session.query(step.statements.join(';\n')),
          record(),
        ]),
      )
    case 'swap':
      return swap(step, place, options.patience ?? PATIENCE, record)
  }
}

async function purgeAtPace(step: PurgeStep, runId: string, place: Workplace, options: ExecuteOptions): Promise<void> {
  const { deadlineMs } = options.patience ?? PATIENCE
  const { table, entourage } = step.work
  const around = entourage.watched?.others.filter((one) => !one.protected) ?? []
  const tables = [table, ...around.map(({ name }) => name)]
  return atPace(tables, place, options, (turns) => purgeRows(step, runId, place, turns, deadlineMs))
}

function atPace(
  tables: readonly TableName[],
  place: Workplace,
  { turns }: ExecuteOptions,
  work: (turns: Turns) => Promise<void>,
): Promise<void> {
  return turns === undefined ? withPace(place, tables, work) : work(turns)
}

export function sessionsOf({ session, pid, control, server }: Workplace) {
  return { session, pid, control, deadlockTimeoutMs: server.deadlockTimeoutMs }
}

/**
 * Long, under locks that block nobody, so it may wait for its own lock until
 * the deadline: `watched` tells for whom. The lease is checked last, for a lock on
 * it all along would keep it from being renewed.
 */
async function runOnline(
  step: OnlineStep,
  place: Workplace,
  { deadlineMs }: Patience,
  record: () => Promise<void>,
): Promise<void> {
  await inTransaction(place.session, {}, async () => {
    await place.session.query(
      `set local lock_timeout = ${Math.ceil(deadlineMs)}; set local idle_in_transaction_session_timeout = 0`,
    )
    for (const statement of step.statements) await place.session.query(statement)
    await assertLease(place.session, place.journalSchema, place.lease)
    await record()
  })
}

/**
 * Builds an index concurrently. That is no transaction: an interrupted one
 * leaves an invalid index, which costs every write and serves no read, so it is
 * dropped and built anew.
 */
async function buildIndex(step: IndexStep, place: Workplace, patience: Patience): Promise<void> {
  const { session } = place
  await assertLease(session, place.journalSchema, place.lease)
  await waitingOthersOut(place, patience, async () => {
    const state = await indexState(step, place)
    if (state === 'valid') return
    if (state === 'invalid') await session.query(sql`drop index concurrently if exists ${quoted(step.index)}`)
    for (const statement of step.statements) await session.query(statement)
  })
}

/** For statements that wait for others without being in their way; `watched` tells for whom. */
async function waitingOthersOut(place: Workplace, { deadlineMs }: Patience, work: () => Promise<void>): Promise<void> {
  await place.session.query(`set lock_timeout = ${Math.ceil(deadlineMs)}`)
  try {
    await work()
  } finally {
    // When the connection is lost there is nothing to reset, and the first error tells why.
    await place.session.query('reset lock_timeout').catch(() => {})
  }
}

async function indexState({ index }: IndexStep, { session }: Workplace): Promise<'none' | 'invalid' | 'valid'> {
  const { state } = await readOne<{ state: 'none' | 'invalid' | 'valid' }>(
    session,
    sql`
    select coalesce((select case when i.indisvalid then 'valid' else 'invalid' end
      from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${index.schema} and c.relname = ${index.name}), 'none') as state`,
  )
  return state
}

function stoppedBefore({ title }: Step): EbbError {
  return new EbbError(
    `stopped before: ${title}`,
    { state: 'What was done before it is kept.', next: GO_ON },
    EXIT.stopped,
  )
}

const GO_ON = 'Run the same command again: it goes on from here. Or undo what was done: ebb abandon.'

/** Turns what PostgreSQL says into what happened, how things stand, and what to do. */
function explained(step: Step, error: unknown, { signal }: Workplace, waitedFor: string | null): unknown {
  if (error instanceof EbbError) return error
  if (signal.aborted)
    return new EbbError(
      `stopped while working on: ${step.title}`,
      { state: undoneIn(step), next: GO_ON },
      EXIT.stopped,
      error,
    )
  const reason = reasonOf(error)
  if (isConnectionLost(error))
    return new EbbError(
      `the connection was lost while working on: ${step.title} (${reason})`,
      { state: `The ${pieceOf(step)} is either undone or done as a whole; the journal knows which.`, next: GO_ON },
      EXIT.tryLater,
      error,
    )
  const code = codeOf(error)
  if (code === undefined) return error
  if (isLockRefused(error))
    return new EbbError(
      `gave up waiting${waitedFor === null ? '' : ` ${waitedFor}`}, while working on: ${step.title}`,
      { state: `That ${pieceOf(step)} is not done; what was done before it is kept.`, next: GO_ON },
      EXIT.tryLater,
      error,
    )
  const slow =
    code === SQLSTATE.queryCanceled
      ? ' (it was cancelled because it took too long under lock, or by somebody else)'
      : ''
  return new EbbError(
    `${step.title}: ${reason}${slow}`,
    { state: undoneIn(step), next: nextAfter(step, code) },
    EXIT.failed,
    error,
  )
}

/** What is committed again and again within a step: a failure undoes the last one alone. */
const PIECES: Partial<Record<Step['kind'], string>> = { purge: 'batch', reconcile: 'batch', copy: 'chunk' }

function pieceOf({ kind }: Step): string {
  const piece = PIECES[kind]
  return piece === undefined ? 'step' : `last ${piece}`
}

function undoneIn({ kind }: Step): string {
  const piece = PIECES[kind]
  return piece === undefined
    ? 'The step has been undone; what was done before it is kept.'
    : `The last ${piece} has been undone; those before it are kept.`
}

function nextAfter(step: Step, code: string): string {
  const table = step.locks[0] === undefined ? 'the table' : display(step.locks[0].table)
  const again =
    step.kind === 'purge'
      ? 'run the same command again: it goes on from there. Or leave it at that: ebb abandon.'
      : 'run the same command again, or undo what was done: ebb abandon.'
  if (code === SQLSTATE.insufficientPrivilege) return `Give the role what it lacks, then ${again}`
  if (code === SQLSTATE.diskFull)
    return `Make room on the server’s disk and run the same command again: it goes on from here. Or give back what the copy has taken: ebb abandon.`
  if (code === SQLSTATE.checkViolation)
    return `Some rows of ${table} lie beyond the bound. Undo what was done with ebb abandon, correct them, and start again.`
  if (code === SQLSTATE.foreignKeyViolation && step.key.startsWith('validate:'))
    return 'Remove the rows that refer to nothing, or give them what they refer to, and run the same command again: it goes on from here.'
  if (code === SQLSTATE.uniqueViolation)
    return `The rows of ${table} are not unique as assumed. Undo what was done with ebb abandon.`
  return `Remove the cause, then ${again}`
}
