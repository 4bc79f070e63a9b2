import type { Target } from '../db/session.ts'
import type { EngineOptions } from '../engine/options.ts'
import type { RunChoice, RunResult } from '../engine/runs/runs.ts'
import type { Plan } from '../plan/language/step.ts'
import { describeUndone } from '../report/undone.ts'
import { resolveRun, type NamedRun } from '../requests/runs.ts'
import { toText } from '../text/comment.ts'
import type { Asked } from './command.ts'
import { orObjections, showPlan } from './show-plan.ts'

/** A way to undo a run. */
export interface Undoing {
  readonly name: 'abandon' | 'rollback'
  plan(this: void, target: Target, choice: RunChoice, options: EngineOptions): Promise<Plan>
  act(this: void, target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult>
}

/** Shows the plan of undoing a run, or executes it. */
export async function undo(asked: Asked, named: NamedRun, { name, plan, act }: Undoing): Promise<void> {
  const { reporter, target, execute, engine } = asked
  const choice = await resolveRun(target, named)
  if (!execute) return showPlan(asked, await plan(target, choice, engine))
  await orObjections(
    (plan) => showPlan(asked, plan),
    async () => {
      const result = await act(target, choice, engine)
      const { runId, steps } = result
      reporter.show('result', { runId, steps }, () => toText(describeUndone(name, result)))
    },
  )
}
