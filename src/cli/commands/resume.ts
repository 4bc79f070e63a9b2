import { Command } from 'commander'
import type { Target } from '../../db/session.ts'
import { candidateSet } from '../../engine/purge/candidate-review.ts'
import type { PurgeResult } from '../../engine/commands/purge.ts'
import { planResumeOf, resume, type KnownRun, type RunResult } from '../../engine/runs/runs.ts'
import { describeCopied } from '../../report/copied.ts'
import { describePartitioned } from '../../report/partitioned.ts'
import { describeUndone } from '../../report/undone.ts'
import { display } from '../../sql/names.ts'
import { toText } from '../../text/comment.ts'
import { lookAfterCopy } from '../copied.ts'
import { reporting, type Invocation } from '../command.ts'
import { mapAfterwards } from '../partition-map.ts'
import { withPace } from '../pace-options.ts'
import type { Reporter } from '../reporter.ts'
import { readRunOptions, withRun, type RunOptions } from '../run-options.ts'
import { showPlan } from '../show-plan.ts'
import { showPurged } from '../show-purged.ts'

/** `ebb resume`: resumes a stopped run, with the plan approved when it began. */
export function resumeCommand(invocation: Invocation): Command {
  const command = new Command('resume')
    .summary('resume an unfinished run')
    .description('Resumes an unfinished run, with the plan approved when it began.')
  return withPace(withRun(command)).action(async (chosen: string | undefined, words: RunOptions) => {
    await reporting(invocation.context, words, async (reporter, observer) => {
      const { target, choice, ...options } = await readRunOptions(invocation, chosen, words)
      const { run, plan, done } = await planResumeOf(target, choice, options)
      if (words.execute !== true) return showPlan(invocation, reporter, plan, { runId: run.id, done })
      const result = await resume(target, { runId: run.id }, { ...options, observer })
      await showResumed(invocation, reporter, run, result, { target, journalSchema: options.journalSchema })
    })
  })
}

/** Shows the result of a run, as the command that began it would. */
async function showResumed(
  invocation: Invocation,
  reporter: Reporter,
  run: KnownRun,
  result: RunResult,
  { target, journalSchema }: { readonly target: Target; readonly journalSchema: string },
): Promise<void> {
  const { runId, plan, steps } = result
  switch (run.command) {
    case 'partition': {
      const map = await mapAfterwards(target, plan.table)
      const partitioned = { runId, table: plan.table, steps, nothingToDo: false, map }
      return reporter.show('result', partitioned, () => toText(describePartitioned(partitioned)))
    }
    case 'partition-copy':
    case 'rebuild':
    case 'split': {
      const copied = await lookAfterCopy(target, run.command, { runId, plan: run.plan, steps, nothingToDo: false })
      return reporter.show('result', copied, () => toText(describeCopied(copied)))
    }
    case 'purge':
    case 'mark':
      return showPurged(invocation, reporter, result as PurgeResult)
    case 'view':
      return reporter.show('result', { runId, steps }, () =>
        toText([`${display(run.plan.view)} is as it is to be (run ${runId}).`]),
      )
    case 'candidates':
      return reporter.show('candidates', { set: await candidateSet(target, runId, { journalSchema }) }, () =>
        toText([`Candidate set ${runId} is complete: ebb candidates ${runId}`]),
      )
    case 'rollback':
      return reporter.show('result', { runId, steps }, () => toText(describeUndone('rollback', result)))
  }
}
