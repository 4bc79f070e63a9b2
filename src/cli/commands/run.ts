import { describeRun, explainRun, objectionsOfPlan } from '../../policy/describe-run.ts'
import { failuresOf, kindOf, objectionsOf, outcomeOf, troublesOfRun } from '../../policy/outcome.ts'
import { findPolicies, planPolicies, type FoundPolicies, type PolicyPlan } from '../../policy/plan-policies.ts'
import { withLockLimits } from '../../policy/policy.ts'
import { readConfig } from '../../policy/read-config.ts'
import { runPolicies, timeLimit, type PolicyReport, type RunReport } from '../../policy/run-policies.ts'
import { samplesOfRun } from '../../policy/run-metrics.ts'
import { tellError } from '../../report/error-text.ts'
import { RUN } from '../../requests/policies.ts'
import { toText } from '../../text/comment.ts'
import { commandLine, executing, type Asked } from '../command.ts'
import { EXIT, exitCodeOf } from '../exit-codes.ts'
import { planForPrograms } from '../show-plan.ts'

/** `ebb run`: everything that is due according to a config. */
export const runCommand = commandLine(
  RUN,
  {
    description:
      'Carries out the policies of a config: creates partitions ahead, retires expired ones, marks and deletes rows, one table after the other. Tables are independent: a failure of one does not stop the others. What was interrupted is continued by the next run.',
  },
  async (asked, { only, mostMs, locks }, { config: file, journalSchema, showValues }) => {
    const config = withLockLimits(await readConfig(file, asked.invocation.context.env), locks)
    asked.notes.addHooks(config.hooks)
    const engine = {
      ...asked.engine,
      journalSchema: journalSchema ?? config.journalSchema ?? asked.engine.journalSchema,
    }
    const found = await findPolicies(asked.target, config, only, engine)
    if (!asked.execute) return show(asked, found, await planPolicies(asked.target, found, engine))
    const report = await runPolicies(asked.target, found, timeLimit(mostMs), engine)
    asked.notes.note(samplesOfRun(report), troublesOfRun(report))
    const shown = reportForPrograms(report, showValues)
    asked.reporter.show('result', shown, () => toText(describeRun(report, config.file, showValues)))
    const kind = kindOf(report)
    if (kind !== null) asked.invocation.end(exitCodeOf(kind))
  },
)

function show({ invocation, reporter }: Asked, { gone }: FoundPolicies, plans: readonly PolicyPlan[]): void {
  const command = executing(invocation)
  const names = gone.map(({ policy }) => policy.name)
  const value = { policies: plans.map(policyForPrograms), gone: names, command }
  reporter.show('plans', value, () => explainRun(plans, names, command))
  if (plans.some(({ failed }) => failed.length > 0)) return invocation.end(EXIT.failed)
  if (plans.some((plan) => objectionsOfPlan(plan).length > 0)) invocation.end(EXIT.objections)
}

function policyForPrograms({ name, table, rotation, view, others, notNow, failed, judged }: PolicyPlan) {
  return {
    name,
    table,
    notNow,
    objections: judged?.objections ?? [],
    plans: [rotation, view, ...others].flatMap((plan) => (plan === null ? [] : [planForPrograms(plan)])),
    failed: failed.map(({ what, error }) => ({ what, ...tellError(error) })),
  }
}

function reportForPrograms({ policies, ahead, ...report }: RunReport, showValues: boolean) {
  const shown = (one: PolicyReport) => policyReportForPrograms(one, showValues)
  return { ...report, policies: policies.map(shown), ahead: ahead.map(shown) }
}

function policyReportForPrograms(one: PolicyReport, showValues: boolean) {
  return {
    name: one.name,
    table: one.table,
    outcome: outcomeOf(one),
    notNow: one.notNow,
    created: (one.rotation?.sets ?? []).flatMap(({ created }) => created),
    retired: (one.rotation?.sets ?? []).flatMap(({ retired }) => retired),
    view: one.view?.plan.view ?? null,
    purged: one.purged.map(({ runId, figures, archive }) => ({ runId, rows: figures?.rows ?? 0, archive })),
    objections: objectionsOf(one),
    failed: failuresOf(one).map(({ what, error }) => ({ what, ...tellError(error, showValues) })),
    milliseconds: one.milliseconds,
  }
}
