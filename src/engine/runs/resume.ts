import type { Target } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { doneSteps, type Run } from '../../journal/journal.ts'
import type { Plan } from '../../plan/language/step.ts'
import { commandOf } from '../commands/registry.ts'
import { fromStored } from '../../plan/language/stored.ts'
import type { CommandOutcome, StorablePlan } from '../command.ts'
import { readPatiently } from '../locks/patiently.ts'
import type { EngineOptions } from '../options.ts'
import { describeSoFar } from '../purge/progress.ts'
import { assertIdle } from '../plan-command.ts'
import { assertLatest, obeyingHolds } from '../run.ts'
import { planOf, verifiedPlan } from '../stored-plan.ts'
import { runIn, withTable } from '../table-context.ts'
import { assertInPlace } from './in-place.ts'
import { whenFree } from './when-free.ts'
import { assertUnfinished, chooseRun, findRun, type RunChoice } from './find-run.ts'

/** The remaining work of an unfinished run. */
export interface Remainder {
  readonly run: Run
  /** The plan it was started with, without the finished steps. */
  readonly plan: Plan
  readonly done: number
}

/**
 * Plans `resume`. Read-only.
 *
 * @throws {EbbError} if there is no such run, or it is not unfinished
 */
export async function planResumeOf(target: Target, choice: RunChoice, options: EngineOptions): Promise<Remainder> {
  const { journalSchema } = options
  return readPatiently(target, 'plan resume', options, (session) =>
    inSnapshot(session, async () => {
      const run = await chooseRun(session, journalSchema, choice)
      assertUnfinished(run)
      const done = await doneSteps(session, journalSchema, run.id)
      const plan: Plan = planOf(commandOf(run), run)
      const evidence = [...(await describeSoFar(session, journalSchema, { ...run, plan })), ...plan.evidence]
      const steps = plan.steps.filter(({ key }) => !done.has(key))
      return { run, plan: { ...plan, evidence, steps }, done: done.size }
    }),
  )
}

/** Resumes an unfinished run with the plan it was started with. */
export function resume(target: Target, choice: RunChoice, options: EngineOptions): Promise<Resumed> {
  return whenFree(target, choice, options, (one) => resumeNow(target, one, options))
}

type Resumed = CommandOutcome & { readonly runId: string }

async function resumeNow(target: Target, choice: RunChoice, options: EngineOptions): Promise<Resumed> {
  const { server, run } = await findRun(target, choice, options)
  assertUnfinished(run)
  const command = commandOf(run)
  const others = command.others?.(planOf(command, run)) ?? []
  return withTable({ target, server, ...options, command: run.command, others }, run.table, async (context) => {
    await assertLatest(context, run.table, run)
    await assertIdle(context.session, context.journalSchema, others)
    const stored = { ...run, plan: fromStored(run.plan) as StorablePlan }
    const find = async () => (await command.findTable?.(context.session, stored)) ?? null
    await assertInPlace(context.session, run.table, find, `Undo what the run has done: ebb abandon ${run.id}`)
    const plan = await verifiedPlan(context, command, run)
    const given = { command, request: fromStored(run.request), options }
    return command.carryOut(await obeyingHolds(runIn(context, run.id), given, plan), plan)
  })
}
