import { planLeftoversOf, removeLeftovers } from '../../engine/runs/leftovers.ts'
import { abandon, planAbandonOf } from '../../engine/runs/runs.ts'
import { ABANDON } from '../../requests/runs.ts'
import { toText } from '../../text/comment.ts'
import { commandLine, type Asked } from '../command.ts'
import { showPlan } from '../show-plan.ts'
import { undo } from '../undo.ts'

/** `ebb abandon`: undoes the preparations of an unfinished run. */
export const abandonCommand = commandLine(
  ABANDON,
  {
    description: 'Undoes the preparations of an unfinished run, so that the table is as it was before.',
  },
  (asked, chosen, { leftovers }) =>
    leftovers ? removeUnknown(asked) : undo(asked, chosen, { name: 'abandon', plan: planAbandonOf, act: abandon }),
)

async function removeUnknown(asked: Asked): Promise<void> {
  const { reporter, target, execute, engine } = asked
  if (!execute) return showPlan(asked, await planLeftoversOf(target, engine))
  const { steps } = await removeLeftovers(target, engine)
  const removed = steps.map(({ key, title }) => ({ key, title }))
  reporter.show('result', { removed }, () =>
    toText(removed.length === 0 ? ['There was nothing to remove.'] : removed.map(({ title }) => `done: ${title}`)),
  )
}
