import { ObjectionsError } from '../errors.ts'
import { EXIT } from './exit-codes.ts'
import { explain } from '../plan/explain/explain.ts'
import type { RotationPlan } from '../plan/rotate/plan.ts'
import type { Plan } from '../plan/language/step.ts'
import { executing, type Invocation } from './command.ts'
import type { Reporter } from './reporter.ts'

/** Shows a plan; objections in it make the exit code. `more` is for programs only. */
export function showPlan({ args, end }: Invocation, reporter: Reporter, plan: Plan, more: object = {}): void {
  const command = executing(args)
  reporter.show('plan', { ...planForPrograms(plan), ...more, command }, () => explain(plan, { command }))
  if (plan.objections.length > 0) end(EXIT.objections)
}

/** Executes the request. Where there are blocking issues, the plan with them is shown instead. */
export async function orObjections(
  invocation: Invocation,
  reporter: Reporter,
  act: () => Promise<void>,
): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (!(error instanceof ObjectionsError)) throw error
    showPlan(invocation, reporter, error.plan as Plan)
  }
}

/**
 * A plan as programs get it: what people are shown, and no more. What the
 * journal keeps besides (the whole former table, the facts that a swap
 * compares) is nobody's interface.
 */
export function planForPrograms({
  goal,
  table,
  evidence,
  dependents: dependents,
  objections,
  notes,
  steps,
}: Plan | RotationPlan) {
  const shown = steps.map(({ key, kind, title, because, locks, cost, statements }) => {
    return { key, kind, title, because, locks, cost, statements }
  })
  return { goal, table, evidence, dependents, objections, notes, steps: shown }
}
