import type { Target } from '../db/session.ts'
import type { EngineOptions } from '../engine/options.ts'
import type { RunChoice, RunResult } from '../engine/runs/runs.ts'
import type { Plan } from '../plan/language/step.ts'
import { describeUndone } from '../report/undone.ts'
import { toText } from '../text/comment.ts'
import { reporting, type Invocation } from './command.ts'
import { readRunOptions, type RunOptions } from './run-options.ts'
import { orObjections, showPlan } from './show-plan.ts'

/** A way of going back on a run. */
export interface Undoing {
  readonly name: 'abandon' | 'rollback'
  plan(this: void, target: Target, choice: RunChoice, options: EngineOptions): Promise<Plan>
  act(this: void, target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult>
}

/** Shows what undoing a run means, or does it. */
export async function undo(
  invocation: Invocation,
  run: string | undefined,
  words: RunOptions,
  { name, plan, act }: Undoing,
): Promise<void> {
  await reporting(invocation.context, words, async (reporter, observer) => {
    const { target, choice, ...rest } = await readRunOptions(invocation, run, words)
    const options: EngineOptions = { ...rest, observer }
    if (words.execute !== true) return showPlan(invocation, reporter, await plan(target, choice, options))
    await orObjections(
      (plan) => showPlan(invocation, reporter, plan),
      async () => {
        const result = await act(target, choice, options)
        const { runId, steps } = result
        reporter.show('result', { runId, steps }, () => toText(describeUndone(name, result)))
      },
    )
  })
}
