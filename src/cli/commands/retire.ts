import { retirable, type RetiredTable } from '../../engine/runs/retired.ts'
import { planRetireOf, retire, type RetireRequest, type RunChoice, type RunResult } from '../../engine/runs/runs.ts'
import { explain } from '../../plan/explain/explain.ts'
import type { Plan } from '../../plan/language/step.ts'
import { samplesOfDropped } from '../../report/result-metrics.ts'
import { describeRenamed } from '../../report/status.ts'
import { describeUndone } from '../../report/undone.ts'
import { resolveRun, RETIRE } from '../../requests/runs.ts'
import { commentWithSql, toText } from '../../text/comment.ts'
import { commandLine, executing, type Asked } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { planForPrograms } from '../show-plan.ts'

/** `ebb retire`: drops the retired table of a copy. */
export const retireCommand = commandLine(
  RETIRE,
  {
    description:
      'Drops the retired table of a finished rebuild, split or partition --method copy, and frees its disk space. Rows left out that have to be archived are archived first. After that, there is no rollback.',
    usage: '<run> | --all [options]',
  },
  async (asked, chosen, { all, noArchive }) => {
    const { reporter, target, execute, engine } = asked
    const left = all ? await retirable(target, engine) : []
    const choices: RunChoice[] = all ? left.filter(({ renamed }) => !renamed) : [await resolveRun(target, chosen)]
    const renamed = left.filter((one) => one.renamed)
    if (renamed.length > 0) reporter.show('renamed', renamed, () => renamedText(renamed, execute))
    const none = renamed.length > 0 ? '' : NONE
    if (!execute) return show(asked, choices, { noArchive }, none)
    const results: RunResult[] = []
    for (const one of choices) {
      const result = await retire(target, one, engine, { noArchive })
      asked.notes.note(samplesOfDropped(result.plan.table))
      results.push(result)
    }
    const shown = results.map(({ runId, plan, steps, receipt = null }) => ({
      runId,
      table: plan.table,
      steps,
      receipt,
    }))
    reporter.show('result', shown, () =>
      results.length === 0 ? none : toText(results.flatMap((result) => describeUndone('retire', result))),
    )
  },
)

/** Who has given a retired table another name may want to keep it: `--all` and rotations leave it. */
function renamedText(tables: readonly RetiredTable[], execute: boolean): string {
  const lines = tables.map(describeRenamed)
  return toText(execute ? lines : lines.flatMap((line) => commentWithSql(line, '')))
}

const NONE = 'There is no retired table to drop.\n'

async function show(
  { invocation, reporter, target, engine }: Asked,
  choices: readonly RunChoice[],
  request: RetireRequest,
  none: string,
): Promise<void> {
  const plans: (Plan & { readonly runId: string })[] = []
  for (const one of choices) plans.push(await planRetireOf(target, one, engine, request))
  const command = executing(invocation)
  const value = plans.map((plan) => ({ runId: plan.runId, ...planForPrograms(plan), command }))
  reporter.show('plans', value, () =>
    plans.length === 0 ? none : plans.map((plan) => explain(plan, { command })).join('\n'),
  )
  if (plans.some(({ objections }) => objections.length > 0)) invocation.end(EXIT.objections)
}
