import type { Target } from '../../db/session.ts'
import type { EngineOptions } from '../../engine/options.ts'
import { retirable } from '../../engine/runs/retired.ts'
import { planRetireOf, retire, type RetireRequest, type RunChoice, type RunResult } from '../../engine/runs/runs.ts'
import { explain } from '../../plan/explain/explain.ts'
import type { Plan } from '../../plan/language/step.ts'
import { describeUndone } from '../../report/undone.ts'
import { resolveRun, RETIRE } from '../../requests/runs.ts'
import { toText } from '../../text/comment.ts'
import { commandLine, executing, type Asked } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { planForPrograms } from '../show-plan.ts'

/** `ebb retire`: drops the retired table of a copy. */
export const retireCommand = commandLine(
  RETIRE,
  {
    description:
      'Drops the retired table of a finished rebuild, split or partition --method copy, and frees its disk space. Rows left out that are to be archived are archived before. After that, there is no rollback.',
    usage: '<run> | --all [options]',
  },
  async (asked, chosen, { all, noArchive }) => {
    const { reporter, target, execute, engine } = asked
    const choices: RunChoice[] = all ? await unnamed(target, engine) : [await resolveRun(target, chosen)]
    if (!execute) return show(asked, choices, { noArchive })
    const results: RunResult[] = []
    for (const one of choices) results.push(await retire(target, one, engine, { noArchive }))
    const shown = results.map(({ runId, plan, steps, receipt = null }) => ({
      runId,
      table: plan.table,
      steps,
      receipt,
    }))
    reporter.show('result', shown, () =>
      results.length === 0 ? NONE : toText(results.flatMap((result) => describeUndone('retire', result))),
    )
  },
)

/** Who has given a retired table another name may want to keep it: it is dropped by its run's number only. */
async function unnamed(target: Target, engine: EngineOptions): Promise<RunChoice[]> {
  return (await retirable(target, engine)).filter(({ renamed }) => !renamed)
}

const NONE = 'There is no retired table to drop.\n'

async function show(
  { invocation, reporter, target, engine }: Asked,
  choices: readonly RunChoice[],
  request: RetireRequest,
): Promise<void> {
  const plans: (Plan & { readonly runId: string })[] = []
  for (const one of choices) plans.push(await planRetireOf(target, one, engine, request))
  const command = executing(invocation)
  const value = plans.map((plan) => ({ runId: plan.runId, ...planForPrograms(plan), command }))
  reporter.show('plans', value, () =>
    plans.length === 0 ? NONE : plans.map((plan) => explain(plan, { command })).join('\n'),
  )
  if (plans.some(({ objections }) => objections.length > 0)) invocation.end(EXIT.objections)
}
