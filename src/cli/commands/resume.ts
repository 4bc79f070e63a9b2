import type { CommandOutcome } from '../../engine/command.ts'
import { planResumeOf, resume } from '../../engine/runs/runs.ts'
import { RESUME, resolveRun } from '../../requests/runs.ts'
import { commandLine, type Asked } from '../command.ts'
import { withIdentities } from '../identities.ts'
import { OUTCOMES } from '../outcomes.ts'
import { showPlan } from '../show-plan.ts'

/** `ebb resume`: resumes a stopped run, with the plan approved when it began. */
export const resumeCommand = commandLine(
  RESUME,
  {
    description: 'Resumes an unfinished run, with the plan approved when it began.',
  },
  async (asked, chosen) => {
    const { invocation, target, execute } = asked
    const engine = { ...asked.engine, identities: withIdentities([], invocation.context) }
    const { run, plan, done } = await planResumeOf(target, await resolveRun(target, chosen), engine)
    if (!execute) return showPlan(asked, plan, { runId: run.id, done })
    await showOutcome(asked, await resume(target, { runId: run.id }, engine), run.command)
  },
)

/** Shows the result of a run, as the command that began it would. */
function showOutcome(asked: Asked, outcome: CommandOutcome, command: string): void | Promise<void> {
  const show = OUTCOMES[command as keyof typeof OUTCOMES] as (...shown: Parameters<typeof showOutcome>) => void
  return show(asked, outcome, command)
}
