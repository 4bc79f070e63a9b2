import { inSnapshot, withSession, type Target } from '../../db/session.ts'
import { doneSteps } from '../../journal/journal.ts'
import type { Plan } from '../../plan/language/step.ts'
import { commandOf } from '../commands/registry.ts'
import type { PlanOptions } from '../options.ts'
import { planOf } from '../stored-plan.ts'
import { describeSoFar } from '../purge/progress.ts'
import { assertUnfinished, chooseRun, type RunChoice } from './find-run.ts'
import { known, type KnownRun } from './known.ts'

/** What is left to do of an unfinished run. */
export interface Remainder {
  readonly run: KnownRun
  /** The plan that was agreed to, without the steps that are done. */
  readonly plan: Plan
  readonly done: number
}

/**
 * What `resume` would do. Reads only.
 *
 * @throws {EbbError} when there is no such run, or it is not unfinished
 */
export async function planResumeOf(target: Target, choice: RunChoice, options: PlanOptions): Promise<Remainder> {
  const { journalSchema } = options
  return withSession(target, 'plan resume', (session) =>
    inSnapshot(session, async () => {
      const run = known(await chooseRun(session, journalSchema, choice))
      assertUnfinished(run)
      const done = await doneSteps(session, journalSchema, run.id)
      const plan: Plan = planOf(commandOf(run, options), run)
      const evidence = [...(await describeSoFar(session, journalSchema, run)), ...plan.evidence]
      const steps = plan.steps.filter(({ key }) => !done.has(key))
      return { run, plan: { ...plan, evidence, steps }, done: done.size }
    }),
  )
}
