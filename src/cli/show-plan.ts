import { ObjectionsError } from '../errors.ts'
import { withSharedSessions } from '../db/shared-sessions.ts'
import { EXIT } from './exit-codes.ts'
import type { Command, CommandOutcome, StorablePlan } from '../engine/command.ts'
import { planCommand } from '../engine/plan-command.ts'
import { carryOut } from '../engine/run.ts'
import { asSaved, planToSave } from '../engine/saved-plan.ts'
import { explain } from '../plan/explain/explain.ts'
import { troublesOf } from '../report/troubles.ts'
import type { RotationPlan } from '../plan/rotate/plan.ts'
import type { SavedPlan } from '../plan/language/saved.ts'
import type { Plan } from '../plan/language/step.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { executing, type Asked } from './command.ts'
import { readPlanFile, writePlanFile } from './plan-file.ts'

/** Shows a plan; with blocking issues the exit code says so. `more` is part of the JSON only. */
export function showPlan({ invocation, reporter, notes }: Asked, plan: Plan, more: object = {}): void {
  notes.note([], troublesOf(plan.table, plan.objections))
  const command = executing(invocation)
  reporter.show('plan', { ...planForPrograms(plan), ...more, command }, () => explain(plan, { command }))
  if (plan.objections.length > 0) invocation.end(EXIT.objections)
}

/** Shows the plan of a command, or executes it and shows the outcome. `more` is part of the plan's JSON only. */
export async function planOrCarryOut<Request, Outcome extends CommandOutcome>(
  asked: Asked,
  table: WrittenName,
  command: Command<Request, StorablePlan, unknown, Outcome>,
  request: Request,
  show: (asked: Asked, outcome: Outcome, command: string) => void | Promise<void>,
  more?: (plan: Plan) => object,
): Promise<void> {
  const { target, execute, engine, planFile } = asked
  const showIt = (plan: Plan) => showPlan(asked, plan, more?.(plan))
  if (planFile.out !== null)
    return showIt(await saving(asked, planFile.out, planToSave(target, table, command, request, engine)))
  if (!execute) return showIt(await planCommand(target, table, command, request, engine))
  const saved = planFile.saved === null ? null : await readPlanFile(planFile.saved)
  await withSharedSessions(target, (shared) =>
    orObjections(showIt, async () => {
      const outcome = await carryOut(shared, table, command, request, asSaved(engine, saved))
      await show({ ...asked, target: shared }, outcome, command.name)
    }),
  )
}

/** Saves a plan in a new file, or says that there is nothing to save. Returns the plan itself. */
export async function saving<P>(
  { invocation: { log } }: Asked,
  file: string,
  planned: Promise<{ readonly plan: P; readonly saved: SavedPlan | readonly SavedPlan[] | null }>,
): Promise<P> {
  const { plan, saved } = await planned
  if (saved !== null) await writePlanFile(file, saved)
  log.say(saved === null ? `nothing to execute: ${file} was not written` : `plan saved in ${file}`)
  return plan
}

/** Executes the request. Where there are blocking issues, the plan with them is shown instead. */
export async function orObjections(show: (plan: Plan) => void, act: () => void | Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (!(error instanceof ObjectionsError)) throw error
    show(error.plan as Plan)
  }
}

/**
 * A plan as JSON: what people are shown, and no more. What the journal keeps
 * besides (the whole old table, the facts that a swap compares) is internal.
 */
export function planForPrograms({ goal, table, evidence, dependents, objections, notes, steps }: Plan | RotationPlan) {
  const shown = steps.map(({ key, kind, title, because, locks, cost, statements }) => {
    return { key, kind, title, because, locks, cost, statements }
  })
  return { goal, table, evidence, dependents, objections, notes, steps: shown }
}
