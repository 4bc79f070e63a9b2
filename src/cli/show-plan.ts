import { ObjectionsError } from '../errors.ts'
import { EXIT } from './exit-codes.ts'
import type { Target } from '../db/session.ts'
import type { Command, CommandOutcome, StorablePlan } from '../engine/command.ts'
import type { EngineOptions } from '../engine/options.ts'
import { carryOut, planCommand } from '../engine/run.ts'
import { explain } from '../plan/explain/explain.ts'
import type { RotationPlan } from '../plan/rotate/plan.ts'
import type { Plan } from '../plan/language/step.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import { executing, reporting, type CommonOptions, type Invocation } from './command.ts'
import type { Reporter } from './reporter.ts'

/** Shows a plan; objections in it make the exit code. `more` is for programs only. */
export function showPlan({ args, end }: Invocation, reporter: Reporter, plan: Plan, more: object = {}): void {
  const command = executing(args)
  reporter.show('plan', { ...planForPrograms(plan), ...more, command }, () => explain(plan, { command }))
  if (plan.objections.length > 0) end(EXIT.objections)
}

/** One command line that plans, or with `--execute` carries out. */
export interface Asked {
  readonly invocation: Invocation
  readonly reporter: Reporter
  readonly target: Target
  readonly table: WrittenName
  readonly execute: boolean
  readonly engine: EngineOptions
  /** What programs are told of a plan besides. */
  readonly more?: (plan: Plan) => object
}

/** What has been asked for on the command line, with a reporter that is ended whatever happens. */
export async function asking(
  invocation: Invocation,
  words: Pick<CommonOptions, 'json'> & { readonly execute?: true },
  table: WrittenName,
  { target, ...options }: Omit<EngineOptions, 'observer'> & { readonly target: Target },
  answer: (asked: Asked) => Promise<void>,
): Promise<void> {
  await reporting(invocation.context, words, (reporter, observer) => {
    const engine = { ...options, observer }
    return answer({ invocation, reporter, target, table, execute: words.execute === true, engine })
  })
}

/** Shows the plan of a command, or carries it out and shows what has come of it. */
export async function planOrCarryOut<Request, Outcome extends CommandOutcome>(
  asked: Asked,
  command: Command<Request, StorablePlan, unknown, Outcome>,
  request: Request,
  show: (audience: Asked, outcome: Outcome, command: string) => void | Promise<void>,
): Promise<void> {
  const { invocation, reporter, target, table, execute, engine, more } = asked
  const showIt = (plan: Plan) => showPlan(invocation, reporter, plan, more?.(plan))
  if (!execute) return showIt(await planCommand(target, table, command, request, engine))
  await orObjections(showIt, async () =>
    show(asked, await carryOut(target, table, command, request, engine), command.name),
  )
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
