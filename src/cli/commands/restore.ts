import { planRestoring, planRestoringToSave, restoreRows } from '../../engine/restore/restoring.ts'
import { asSaved } from '../../engine/saved-plan.ts'
import { RESTORE } from '../../requests/restore.ts'
import { commandLine } from '../command.ts'
import { withIdentities } from '../identities.ts'
import { OUTCOMES } from '../outcomes.ts'
import { readPlanFile } from '../plan-file.ts'
import { orObjections, saving, showPlan } from '../show-plan.ts'

/** `ebb restore`: archived rows back into a table. */
export const restoreCommand = commandLine(
  RESTORE,
  {
    description:
      'Restores the rows of an archive, all or some, into the table that they were in or another one. Each object is checked against the receipt before its rows are committed; rows that are there already are left as they are, unless --on-conflict says otherwise.',
    usage: '<receipt> [--into <table>] [--where <condition>] [options]',
  },
  async (asked, order, { identityFile }) => {
    const { invocation, target, execute, planFile } = asked
    const engine = { ...asked.engine, identities: withIdentities(identityFile, invocation.context) }
    const show = showPlan.bind(null, asked)
    if (planFile.out !== null)
      return show(await saving(asked, planFile.out, planRestoringToSave(target, order, engine)))
    if (!execute) return show(await planRestoring(target, order, engine))
    const saved = planFile.saved === null ? null : await readPlanFile(planFile.saved)
    await orObjections(
      (plan) => show(plan),
      async () => OUTCOMES.restore(asked, await restoreRows(target, order, asSaved(engine, saved)), 'restore'),
    )
  },
)
