import { inOneGo } from '../db/in-one-go.ts'
import { inTransaction } from '../db/session.ts'
import { reasonOf } from '../errors.ts'
import { doneSteps, noteError, recordStep } from '../journal/journal.ts'
import { assertLease } from '../journal/lease.ts'
import type { AloneStep, OnlineStep, PurgeStep, Step } from '../plan/language/step.ts'
import type { PaceSummary } from '../pacing/summary.ts'
import type { LockTimes, Observer } from '../events.ts'
import type { TableName } from '../sql/names.ts'
import { LOCK_LIMITS, underShortLocks, type LockLimits } from './locks/short-locks.ts'
import { buildIndex, dropIndex } from './steps/concurrent-index.ts'
import { copyChunks } from './copy/copy.ts'
import { reconcile } from './copy/reconcile.ts'
import { verify } from './copy/verify.ts'
import { check, purgeRows, vacuum } from './purge/run-steps.ts'
import type { Turns } from './purge/turns.ts'
import { withPace } from './pace.ts'
import { dryRun } from './steps/dry-run.ts'
import { explainedOf, stoppedBefore } from './steps/errors.ts'
import { swap } from './steps/swap.ts'
import { watched } from './watch.ts'
import type { TableContext } from './table-context.ts'

/** What was done and what it cost. */
export interface StepResult {
  readonly key: string
  readonly milliseconds: number
  readonly lock: LockTimes | null
  /** Of a step that works in pieces. */
  readonly pace: PaceSummary | null
}

export interface ExecuteOptions {
  readonly lockLimits?: LockLimits | undefined
  /** Who paces the batches of a purge. */
  readonly turns?: Turns | undefined
  /** What else belongs into the transaction of a step, by its key: what is true from then on; one query each. */
  readonly alongside?: Readonly<Record<string, (context: TableContext) => readonly Promise<void>[]>>
}

/** Carries out what is left of a run; when it stops, the journal says why. */
export async function executeRun(
  runId: string,
  steps: readonly Step[],
  context: TableContext,
  options: ExecuteOptions = {},
): Promise<StepResult[]> {
  try {
    await noteError(context.session, context.journalSchema, runId, null)
    return await execute(runId, steps, context, options)
  } catch (error) {
    const reason = reasonOf(error)
    // By the session that looks around: the one at work may be what was lost. If both were, the reason is told all the same.
    await noteError(context.control, context.journalSchema, runId, reason).catch(() => {})
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
  context: TableContext,
  options: ExecuteOptions = {},
): Promise<StepResult[]> {
  const done = await doneSteps(context.session, context.journalSchema, runId)
  const begun = steps.filter(({ key }) => done.has(key)).length
  if (begun > 0) context.observer({ type: 'resumed', runId, done: begun, of: steps.length })
  const results: StepResult[] = []
  for (const [position, step] of steps.entries()) {
    if (done.has(step.key)) continue
    context.observer({ type: 'step started', step, position, of: steps.length })
    if (context.signal.aborted) throw stoppedBefore(step)
    const began = performance.now()
    const { lock, pace } = await attempt(runId, step, context, options)
    const milliseconds = performance.now() - began
    context.observer({ type: 'step finished', step, milliseconds, lock })
    results.push({ key: step.key, milliseconds, lock, pace })
  }
  return results
}

async function attempt(
  runId: string,
  step: Step,
  context: TableContext,
  options: ExecuteOptions,
): Promise<Pick<StepResult, 'lock' | 'pace'>> {
  let waitedFor: string | null = null
  let pace: PaceSummary | null = null
  const listen: Observer = (event) => {
    if (event.type === 'waiting') waitedFor = event.reason
    context.observer(event)
  }
  const observer: Observer = (event) => {
    if (event.type === 'paced') pace = event.pace
    context.observer(event)
  }
  try {
    const paced = { ...context, observer }
    const lock = await watched(context.control, context.pid, listen, () => perform(runId, step, paced, options))
    return { lock, pace }
  } catch (error) {
    throw explainedOf(step, error, context.signal.aborted, waitedFor)
  }
}

// No default branch: a new kind of step does not compile until it is handled here.
async function perform(
  runId: string,
  step: Step,
  context: TableContext,
  options: ExecuteOptions,
): Promise<LockTimes | null> {
  const began = performance.now()
  const { session, journalSchema, lease } = context
  const { lockLimits = LOCK_LIMITS } = options
  const record = async () => {
    await inOneGo(session, () => [
      ...(options.alongside?.[step.key]?.(context) ?? []),
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
    case 'dry run':
      return recordAfter(dryRun(step, context))
    case 'index':
      return recordAfter(buildIndex(step, context, lockLimits))
    case 'drop index':
      return recordAfter(dropIndex(step, context, lockLimits))
    case 'copy':
      return recordAfter(copyChunks(step, runId, context))
    case 'reconcile':
      return recordAfter(reconcile(step, context))
    case 'verify':
      return recordAfter(verify(step, runId, context))
    case 'purge':
      return recordAfter(purgeAtPace(step, runId, context, options))
    case 'vacuum':
      return recordAfter(atPace([step.table], context, options, (turns) => vacuum(step, runId, context, turns)))
    case 'check':
      return recordAfter(check(step, runId, context))
    case 'alone':
      return recordAfter(runAlone(step, context))
    case 'online':
      return runOnline(step, context, lockLimits, record)
    case 'short lock':
      return underShortLocks(sessionsOf(context), step, lockLimits, context.observer, context.signal, async () => {
        await inOneGo(session, () => [
          assertLease(session, journalSchema, lease),
          session.query(step.statements.join(';\n')),
          record(),
        ])
      })
    case 'swap':
      return swap(step, context, lockLimits, record)
  }
}

async function purgeAtPace(
  step: PurgeStep,
  runId: string,
  context: TableContext,
  options: ExecuteOptions,
): Promise<void> {
  const { deadlineMs } = options.lockLimits ?? LOCK_LIMITS
  const { table, dependents } = step.work
  const around = dependents.watched?.others.filter((one) => !one.protected) ?? []
  const tables = [table, ...around.map(({ name }) => name)]
  return atPace(tables, context, options, (turns) => purgeRows(step, runId, context, turns, deadlineMs))
}

function atPace(
  tables: readonly TableName[],
  context: TableContext,
  { turns }: ExecuteOptions,
  work: (turns: Turns) => Promise<void>,
): Promise<void> {
  return turns === undefined ? withPace(context, tables, work) : work(turns)
}

export function sessionsOf({ session, pid, control, server }: TableContext) {
  return { session, pid, control, deadlockTimeoutMs: server.deadlockTimeoutMs }
}

/**
 * Long, under locks that block nobody, so it may wait for its own lock until
 * the deadline: `watched` tells for whom. The lease is checked last, for a lock on
 * it all along would keep it from being renewed.
 */
async function runOnline(
  step: OnlineStep,
  context: TableContext,
  { deadlineMs }: LockLimits,
  record: () => Promise<void>,
): Promise<null> {
  await inTransaction(context.session, {}, async () => {
    await context.session.query(
      `set local lock_timeout = ${Math.ceil(deadlineMs)}; set local idle_in_transaction_session_timeout = 0`,
    )
    for (const statement of step.statements) await context.session.query(statement)
    await assertLease(context.session, context.journalSchema, context.lease)
    await record()
  })
  return null
}

/** Statements that no transaction may hold. */
async function runAlone({ statements }: AloneStep, { session }: TableContext): Promise<void> {
  for (const statement of statements) await session.query(statement)
}
