import { inOneGo } from '../db/in-one-go.ts'
import { inTransaction } from '../db/session.ts'
import { reasonOf } from '../errors.ts'
import { doneSteps, noteError, recordStep } from '../journal/journal.ts'
import { assertLease } from '../journal/lease.ts'
import type { AloneStep, OnlineStep, PurgeStep, Step } from '../plan/language/step.ts'
import type { PaceSummary } from '../pacing/summary.ts'
import type { LockTimes, Observer } from '../events.ts'
import type { TableName } from '../sql/names.ts'
import { PATIENCE, underBriefLocks, type Patience } from './locks/short-locks.ts'
import { buildIndex, dropIndex } from './steps/concurrent-index.ts'
import { copyChunks } from './copy/copy.ts'
import { reconcile } from './copy/reconcile.ts'
import { verify } from './copy/verify.ts'
import { check, purgeRows, vacuum } from './purge/run-steps.ts'
import type { Turns } from './purge/turns.ts'
import { withPace } from './pace.ts'
import { rehearse } from './steps/rehearse.ts'
import { explainedOf, stoppedBefore } from './steps/errors.ts'
import { swap } from './steps/swap.ts'
import { watched } from './watch.ts'
import type { Workplace } from './table-context.ts'

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
    throw explainedOf(step, error, place.signal.aborted, waitedFor)
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
  const { session, journalSchema, lease } = place
  const { patience = PATIENCE } = options
  const record = async () => {
    await inOneGo(session, () => [
      ...(options.alongside?.[step.key]?.(place) ?? []),
      recordStep(session, journalSchema, runId, step.key, performance.now() - began),
    ])
  }
  // Of a step that is no transaction by itself, when it is done.
  const recordAfter = async (work: Promise<void>) => {
    await work
    await inTransaction(session, {}, async () => {
      await assertLease(session, journalSchema, lease)
      await record()
    })
    return null
  }
  switch (step.kind) {
    case 'rehearse':
      return recordAfter(rehearse(step, place))
    case 'index':
      return recordAfter(buildIndex(step, place, patience))
    case 'drop index':
      return recordAfter(dropIndex(step, place, patience))
    case 'copy':
      return recordAfter(copyChunks(step, runId, place))
    case 'reconcile':
      return recordAfter(reconcile(step, place))
    case 'verify':
      return recordAfter(verify(step, runId, place))
    case 'purge':
      return recordAfter(purgeAtPace(step, runId, place, options))
    case 'vacuum':
      return recordAfter(atPace([step.table], place, options, (turns) => vacuum(step, runId, place, turns)))
    case 'check':
      return recordAfter(check(step, runId, place))
    case 'alone':
      return recordAfter(runAlone(step, place))
    case 'online':
      return runOnline(step, place, patience, record)
    case 'brief':
      return underBriefLocks(sessionsOf(place), step, patience, place.observer, place.signal, async () => {
        await inOneGo(session, () => [
          assertLease(session, journalSchema, lease),
          session.query(step.statements.join(';\n')),
          record(),
        ])
      })
    case 'swap':
      return swap(step, place, patience, record)
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
): Promise<null> {
  await inTransaction(place.session, {}, async () => {
    await place.session.query(
      `set local lock_timeout = ${Math.ceil(deadlineMs)}; set local idle_in_transaction_session_timeout = 0`,
    )
    for (const statement of step.statements) await place.session.query(statement)
    await assertLease(place.session, place.journalSchema, place.lease)
    await record()
  })
  return null
}

/** Statements that no transaction may hold. */
async function runAlone({ statements }: AloneStep, { session }: Workplace): Promise<void> {
  for (const statement of statements) await session.query(statement)
}
