import { planReattachOf, reattach } from '../../engine/commands/reattach.ts'
import { display } from '../../sql/names.ts'
import { REATTACH } from '../../requests/reattach.ts'
import { toText } from '../../text/comment.ts'
import { commandLine } from '../command.ts'
import { orObjections, showPlan } from '../show-plan.ts'

/** `ebb reattach`: a partition that a rotation has detached becomes one again. */
export const reattachCommand = commandLine(
  REATTACH,
  {
    description:
      'Attaches a partition again that ebb rotate has detached and not dropped yet (--grace). No row is read under lock.',
  },
  async (asked, request, { partition }) => {
    const { reporter, target, execute, engine } = asked
    if (!execute) return showPlan(asked, await planReattachOf(target, partition, request, engine))
    await orObjections(
      (plan) => showPlan(asked, plan),
      async () => {
        const done = await reattach(target, partition, request, engine)
        reporter.show('result', done, () =>
          toText([`${display(done.partition)} is a partition of ${display(done.table)} again.`]),
        )
      },
    )
  },
)
