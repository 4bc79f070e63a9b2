import { Command } from 'commander'
import { candidateSet } from '../../engine/candidate-review.ts'
import { COPY_COMMANDS } from '../../engine/copy-run.ts'
import type { PurgeResult } from '../../engine/purge.ts'
import { planResumeOf, resume } from '../../engine/runs.ts'
import type { RebuildPlan } from '../../plan/rebuild.ts'
import type { ViewPlan } from '../../plan/view.ts'
import { describeCopied } from '../../report/copied.ts'
import { describePartitioned } from '../../report/partitioned.ts'
import { describeUndone } from '../../report/undone.ts'
import { display } from '../../sql/names.ts'
import { toText } from '../../sql/comment.ts'
import { lookAfterCopy } from '../after-copy.ts'
import { reporting, type Invocation } from '../command.ts'
import { mapAfterwards } from '../map-afterwards.ts'
import { withPace } from '../pace-options.ts'
import { readRunWords, withRun, type RunWords } from '../run-words.ts'
import { showPlan } from '../show-plan.ts'
import { showPurged } from '../show-purged.ts'

/** `ebb resume`: goes on with a run that was stopped, from the plan that was agreed to then. */
export function resumeCommand(invocation: Invocation): Command {
  const command = new Command('resume')
    .summary('go on with an unfinished run')
    .description('Goes on with an unfinished run, from the plan that was agreed to when it began.')
  return withPace(withRun(command)).action(async (run: string | undefined, words: RunWords) => {
    await reporting(invocation.context, words, async (reporter, observer) => {
      const { target, choice, ...options } = await readRunWords(invocation, run, words)
      const remainder = await planResumeOf(target, choice, options)
      if (words.execute !== true) {
        const { run, plan, done } = remainder
        return showPlan(invocation, reporter, plan, { runId: run.id, done })
      }
      const result = await resume(target, { runId: remainder.run.id }, { ...options, observer })
      const { runId, plan, steps } = result
      const { command } = remainder.run
      if (COPY_COMMANDS.includes(command)) {
        const copied = await lookAfterCopy(target, command, { runId, plan: plan as RebuildPlan, steps })
        return reporter.show('result', copied, () => toText(describeCopied(copied)))
      }
      if (command === 'purge' || command === 'mark') return showPurged(invocation, reporter, result as PurgeResult)
      if (command === 'view')
        return reporter.show('result', { runId, steps }, () =>
          toText([`${display((plan as ViewPlan).view)} is as it is to be (run ${runId}).`]),
        )
      if (command === 'candidates')
        return reporter.show('candidates', { set: await candidateSet(target, runId, options) }, () =>
          toText([`Candidate set ${runId} is complete: ebb candidates ${runId}`]),
        )
      if (command !== 'partition')
        return reporter.show('result', { runId, steps }, () =>
          toText(describeUndone('rollback', { runId, plan, steps })),
        )
      const partitioned = {
        runId,
        table: plan.table,
        steps,
        nothingToDo: false,
        map: await mapAfterwards(target, plan.table),
      }
      reporter.show('result', partitioned, () => toText(describePartitioned(partitioned)))
    })
  })
}
