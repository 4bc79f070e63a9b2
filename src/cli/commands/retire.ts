import { Command } from 'commander'
import { retirable } from '../../engine/runs/retired.ts'
import type { EngineOptions } from '../../engine/options.ts'
import { planRetireOf, retire, type RunChoice, type RunResult } from '../../engine/runs/runs.ts'
import { UsageError } from '../../errors.ts'
import { EXIT } from '../exit-codes.ts'
import { explain } from '../../plan/explain/explain.ts'
import type { Plan } from '../../plan/language/step.ts'
import { describeUndone } from '../../report/undone.ts'
import { toText } from '../../text/comment.ts'
import { executing, reporting, type CommonOptions, type Invocation } from '../command.ts'
import { Faults } from '../faults.ts'
import type { LockWords } from '../lock-options.ts'
import type { Reporter } from '../reporter.ts'
import { parseRun, readRunOptions, withRun } from '../run-options.ts'
import { planForPrograms } from '../show-plan.ts'

interface Words extends CommonOptions, LockWords {
  readonly all?: true
  readonly execute?: true
}

/** `ebb retire`: drops the retired table of a copy. */
export function retireCommand(invocation: Invocation): Command {
  const command = new Command('retire')
    .summary('drop a retired table')
    .description(
      'Drops the retired table of a finished rebuild, split or partition --method copy, and frees its disk space. After that, there is no rollback.',
    )
    .usage('<run> | --all [options]')
    .option('--all', 'all retired tables; ebb status lists them')
  return withRun(command, 'its number, or its table').action((run: string | undefined, words: Words) =>
    act(invocation, run, words),
  )
}

async function act(invocation: Invocation, run: string | undefined, words: Words): Promise<void> {
  assertOneOf(run, words)
  await reporting(invocation.context, words, async (reporter, observer) => {
    const { target, choice, ...rest } = await readRunOptions(invocation, run, words)
    const options: EngineOptions = { ...rest, observer }
    const choices: RunChoice[] = words.all === true ? await retirable(target, options) : [choice]
    if (words.execute !== true) {
      const plans: (Plan & { readonly runId: string })[] = []
      for (const one of choices) plans.push(await planRetireOf(target, one, options))
      return show(invocation, reporter, plans)
    }
    const results: RunResult[] = []
    for (const one of choices) results.push(await retire(target, one, options))
    const shown = results.map(({ runId, plan, steps }) => ({ runId, table: plan.table, steps }))
    reporter.show('result', shown, () =>
      results.length === 0 ? NONE : toText(results.flatMap((result) => describeUndone('retire', result))),
    )
  })
}

const NONE = 'There is no retired table to drop.\n'

function show(
  { args, end }: Invocation,
  reporter: Reporter,
  plans: readonly (Plan & { readonly runId: string })[],
): void {
  const command = executing(args)
  const value = plans.map((plan) => ({ runId: plan.runId, ...planForPrograms(plan), command }))
  reporter.show('plans', value, () =>
    plans.length === 0 ? NONE : plans.map((plan) => explain(plan, { command })).join('\n'),
  )
  if (plans.some(({ objections }) => objections.length > 0)) end(EXIT.objections)
}

// What cannot be undone is not the default.
function assertOneOf(run: string | undefined, { all }: Words): void {
  const faults = new Faults()
  faults.read('<run>', () => {
    if (run === undefined && all !== true)
      throw new UsageError('no run is named', 'Name a run, or pass --all. See ebb status.')
    if (run !== undefined && all === true)
      throw new UsageError('cannot be used with --all', 'Name a run, or pass --all.')
    return run === undefined ? null : parseRun(run)
  })
  faults.throwIfAny()
}
