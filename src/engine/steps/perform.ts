import { inOneGo } from '../../db/in-one-go.ts'
import { inTransaction } from '../../db/transaction.ts'
import { assertLease } from '../../journal/lease.ts'
import type { AloneStep, OnlineStep, ShortLockStep, Step, WholeStep } from '../../plan/language/step.ts'
import type { PaceSummary } from '../../pacing/summary.ts'
import type { LockTimes, Emit } from '../../events.ts'
import { underShortLocks, type LockLimits } from '../locks/short-locks.ts'
import { reconcile } from '../copy/reconcile.ts'
import { sessionsOf, type TableContext } from '../table-context.ts'
import { watched } from '../watch.ts'
import { buildIndex, dropIndex } from './concurrent-index.ts'
import { detach, oldSnapshotsGone } from './detach.ts'
import { dryRun } from './dry-run.ts'
import { explainedOf, stoppedBefore, type StepAdvice } from './errors.ts'
import { swap } from './swap.ts'

// Performs one step, of a run or of a rotation. The caller provides what is recorded with it, and further checks.

/** A performed step and its cost. */
export interface StepResult {
  readonly key: string
  readonly milliseconds: number
  readonly lock: LockTimes | null
  /** For a step that works in pieces. */
  readonly pace: PaceSummary | null
}

/** What is done with a step besides its statements. */
export interface Hooks {
  /**
   * Facts to record in the transaction of the step; for a step outside a transaction, in one after it. One query
   * each.
   */
  readonly alongside: () => readonly Promise<unknown>[]
  /** Checks under the locks of a short-lock step, before its statements; and right before a detach. */
  readonly check?: () => Promise<void>
  /**
   * Whether a later commit of the run waits for the disk, and a synchronous standby: what is committed before it need not.
   * A crash of the server in between costs this step, and all that came after it.
   */
  readonly isDurableLater?: boolean
}

/** The position of the step. */
export interface StepPlace {
  readonly position: number
  readonly of: number
  readonly advice: StepAdvice
}

/** Performs a step, reports it, and explains errors within it. */
export async function performTold<Context extends TableContext>(
  step: Step,
  { position, of, advice }: StepPlace,
  context: Context,
  work: (context: Context) => Promise<LockTimes | null>,
): Promise<StepResult> {
  let waitedFor: string | null = null
  let pace: PaceSummary | null = null
  const listen: Emit = (event) => {
    if (event.type === 'waiting') waitedFor = event.reason
    context.observer(event)
  }
  const observer: Emit = (event) => {
    if (event.type === 'paced') pace = event.pace
    context.observer(event)
  }
  context.observer({ type: 'step started', step, position, of })
  if (context.signal.aborted) throw stoppedBefore(step, advice)
  const began = performance.now()
  try {
    const lock = await watched(context, listen, () => work({ ...context, observer }))
    const milliseconds = performance.now() - began
    context.observer({ type: 'step finished', step, milliseconds, lock })
    return { key: step.key, milliseconds, lock, pace }
  } catch (error) {
    throw explainedOf(step, error, { stopped: context.signal.aborted, waitedFor, advice })
  }
}

/** Performs a step that needs no run. No default branch: a new kind of step does not compile until it is handled. */
export async function performWhole(
  step: WholeStep,
  context: TableContext,
  lockLimits: LockLimits,
  hooks: Hooks,
): Promise<LockTimes | null> {
  switch (step.kind) {
    case 'dry run':
      return recordAfter(dryRun(step, context), context, hooks)
    case 'index':
      return recordAfter(buildIndex(step, context, lockLimits), context, hooks)
    case 'drop index':
      return recordAfter(dropIndex(step, context, lockLimits), context, hooks)
    case 'reconcile':
      return recordAfter(reconcile(step, context), context, hooks)
    case 'alone':
      return recordAfter(runAlone(step, context), context, hooks)
    case 'online':
      return runOnline(step, context, lockLimits, hooks)
    case 'short lock':
      return underShortLocks(
        sessionsOf(context, hooks),
        step,
        limitsOf(step, lockLimits),
        context.observer,
        context.signal,
        async () => {
          await hooks.check?.()
          // One message, for the least time under the locks; Citus would send it on whole with each of its statements.
          const messages = step.onAllNodes === true ? step.statements : [step.statements.join(';\n')]
          await inOneGo(context.session, () => [
            assertLease(context.session, context.journalSchema, context.lease),
            ...messages.map((message) => context.session.query(message)),
            ...hooks.alongside(),
          ])
        },
      )
    case 'detach': {
      const state = await detach(step, context, lockLimits, hooks.check)
      if (state === 'detached') return recordAfter(Promise.resolve(), context, hooks)
      await oldSnapshotsGone(context, lockLimits.deadlineMs)
      return performWhole(step.finalize, context, lockLimits, { alongside: hooks.alongside })
    }
    case 'swap':
      return swap(step, context, lockLimits, async () => {
        await inOneGo(context.session, hooks.alongside)
      })
  }
}

function limitsOf({ workTimeoutMs = Infinity, onAllNodes }: ShortLockStep, lockLimits: LockLimits): LockLimits {
  if (onAllNodes === true) return { ...lockLimits, workTimeoutMs: Math.min(workTimeoutMs, lockLimits.deadlineMs) }
  return { ...lockLimits, workTimeoutMs: Math.min(lockLimits.workTimeoutMs, workTimeoutMs) }
}

/** For a step outside a transaction, what is recorded when it is done. */
export async function recordAfter(work: Promise<void>, context: TableContext, hooks: Hooks): Promise<null> {
  const { session, journalSchema, lease } = context
  await work
  await inTransaction(session, { local: commitOf(hooks) }, async () => {
    await inOneGo(session, () => [assertLease(session, journalSchema, lease), ...hooks.alongside()])
  })
  return null
}

function commitOf({ isDurableLater = false }: Hooks): readonly string[] {
  return isDurableLater ? ['synchronous_commit = off'] : []
}

/**
 * A long transaction whose locks block no other session, so it may wait for its own lock until the deadline:
 * `watched` reports for whom. The lease is checked last, because locking it throughout would prevent its renewal.
 */
async function runOnline(
  step: OnlineStep,
  { session, journalSchema, lease }: TableContext,
  { deadlineMs }: LockLimits,
  hooks: Hooks,
): Promise<null> {
  const waiting = [`lock_timeout = ${Math.ceil(deadlineMs)}`, 'idle_in_transaction_session_timeout = 0']
  await inTransaction(session, { local: [...waiting, ...commitOf(hooks)] }, async () => {
    await inOneGo(session, () => step.statements.map((statement) => session.query(statement)))
    await inOneGo(session, () => [assertLease(session, journalSchema, lease), ...hooks.alongside()])
  })
  return null
}

/** Statements that cannot run in a transaction. */
async function runAlone({ statements }: AloneStep, { session }: TableContext): Promise<void> {
  for (const statement of statements) await session.query(statement)
}
