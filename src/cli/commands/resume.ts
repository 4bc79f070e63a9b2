import { Command } from 'commander'
import type { CommandOutcome } from '../../engine/command.ts'
import { planResumeOf, resume } from '../../engine/runs/runs.ts'
import { reporting, type Invocation } from '../command.ts'
import { OUTCOMES, type Audience } from '../outcomes.ts'
import { withPace } from '../pace-options.ts'
import { readRunOptions, withRun, type RunOptions } from '../run-options.ts'
import { showPlan } from '../show-plan.ts'

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
      const outcome = await resume(target, { runId: run.id }, { ...options, observer })
      await showOutcome({ invocation, reporter, target, engine: options }, outcome, run.command)
    })
  })
}

/** Shows the result of a run, as the command that began it would. */
function showOutcome(audience: Audience, outcome: CommandOutcome, command: string): void | Promise<void> {
  const show = OUTCOMES[command as keyof typeof OUTCOMES] as (...shown: Parameters<typeof showOutcome>) => void
  return show(audience, outcome, command)
}
