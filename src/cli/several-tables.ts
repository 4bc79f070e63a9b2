import { withSharedSessions } from '../db/shared-sessions.ts'
import { findChosen } from '../engine/choose-tables.ts'
import type { Command, CommandOutcome, StorablePlan } from '../engine/command.ts'
import { carryOutEach, planEach } from '../engine/each-table.ts'
import type { TableOutcome } from '../engine/many-tables.ts'
import { explain } from '../plan/explain/explain.ts'
import type { Plan } from '../plan/language/step.ts'
import { failure } from '../report/result-metrics.ts'
import {
  describeBefore,
  describeNotDone,
  describeTables,
  tableForPrograms,
  type FinishedRun,
} from '../report/several-tables.ts'
import { troublesOfTables } from '../report/troubles.ts'
import { onlyTable } from '../requests/several-tables.ts'
import { display } from '../sql/names.ts'
import type { TableChoice } from '../sql/table-pattern.ts'
import { comment, toText } from '../text/comment.ts'
import { executing, type Asked } from './command.ts'
import { exitCodeOfTables } from './exit-codes.ts'
import type { Reporter } from './reporter.ts'
import { planForPrograms, planOrCarryOut } from './show-plan.ts'

type Show<Outcome> = (asked: Asked, outcome: Outcome, command: string) => void | Promise<void>

/**
 * The same as `planOrCarryOut` for tables that are named or match patterns. How one that is named is answered stays as it is, and
 * does not depend on how many match.
 */
export async function planOrCarryOutEach<Request, Outcome extends CommandOutcome & FinishedRun>(
  asked: Asked,
  choices: readonly TableChoice[],
  command: Command<Request, StorablePlan, unknown, Outcome>,
  request: Request,
  show: Show<Outcome>,
  more: (plan: Plan) => object = () => ({}),
): Promise<void> {
  const table = onlyTable(choices)
  if (table !== null) return planOrCarryOut(asked, table, command, request, show, more)
  await withSharedSessions(asked.target, async (target) => {
    const shared = { ...asked, target }
    const { tables } = await findChosen(target, choices, asked.engine)
    if (!asked.execute) return showPlans(shared, await planEach(target, tables, command, request, asked.engine), more)
    const outcomes = await carryOutEach(target, tables, command, request, asked.engine, async (outcome) => {
      return { outcome, shown: await valueOf(shared, outcome, show, command.name) }
    })
    showOutcomes(shared, outcomes)
  })
}

function showPlans(
  { invocation, reporter }: Asked,
  outcomes: readonly TableOutcome<Plan>[],
  more: (plan: Plan) => object,
): void {
  const command = executing(invocation)
  const withValues = showsValues(invocation.args)
  const value = outcomes.map((one) =>
    tableForPrograms(one, withValues, (plan) => ({ ...planForPrograms(plan), ...more(plan), command })),
  )
  reporter.show('plans', value, () =>
    [
      ...outcomes.flatMap((one) => (one.outcome === 'done' ? [explain(one.result, { command })] : [])),
      ...inComments([
        ...outcomes.flatMap((one) =>
          one.outcome === 'done before' ? [`${display(one.table)}: ${describeBefore(one.runId)}`] : [],
        ),
        ...describeNotDone('plan', outcomes, withValues),
      ]),
    ].join('\n'),
  )
  const refused = (one: TableOutcome<unknown>) =>
    one.outcome === 'refused' || (one.outcome === 'done' && (one.result as Plan).objections.length > 0)
  invocation.end(exitCodeOfTables(outcomes, refused))
}

function inComments(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [toText(lines.flatMap((line) => comment(line)))]
}

function showOutcomes<Outcome extends FinishedRun>(
  { invocation, reporter, notes }: Asked,
  outcomes: readonly TableOutcome<{ readonly outcome: Outcome; readonly shown: unknown }>[],
): void {
  const withValues = showsValues(invocation.args)
  const [command = ''] = invocation.args
  const value = outcomes.map((one) => tableForPrograms(one, withValues, ({ shown }) => ({ result: shown })))
  const finished = outcomes.map((one) => (one.outcome === 'done' ? { ...one, result: one.result.outcome } : one))
  notes.note(
    outcomes.flatMap(({ table, outcome }) =>
      outcome === 'failed' || outcome === 'refused' ? [failure(table, 1)] : [],
    ),
    troublesOfTables(outcomes),
  )
  reporter.show('results', value, () => toText(describeTables(command, finished, withValues)))
  invocation.end(exitCodeOfTables(outcomes))
}

function showsValues(args: readonly string[]): boolean {
  return args.includes('--show-values')
}

/** What would be shown of one table to a program. */
async function valueOf<Outcome>(
  asked: Asked,
  outcome: Outcome,
  show: Show<Outcome>,
  command: string,
): Promise<unknown> {
  let shown: unknown = null
  const reporter: Reporter = { ...asked.reporter, show: (_name, value) => (shown = value) }
  await show({ ...asked, reporter }, outcome, command)
  return shown
}
