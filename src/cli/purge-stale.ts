import type { Flag, StalePurgeRequest } from '../engine/commands/purge-stale.ts'
import { planStaleOf, planStaleToSave, purgeStale } from '../engine/commands/purge-stale.ts'
import { EXIT } from './exit-codes.ts'
import { describePurged } from '../report/purged.ts'
import { samplesOfPurge } from '../report/result-metrics.ts'
import { toText } from '../text/comment.ts'
import type { WrittenName } from '../sql/parse-name.ts'
import type { Asked } from './command.ts'
import { readPlansFile } from './plan-file.ts'
import { orObjections, saving, showPlan } from './show-plan.ts'

/** Shows the plan of purging stale groups, or executes it. */
export async function purgeStaleGroups(
  asked: Asked,
  table: WrittenName,
  request: StalePurgeRequest,
  flag: Flag | null,
): Promise<void> {
  const { invocation, reporter, notes, target, execute, engine, planFile } = asked
  if (planFile.out !== null)
    return showPlan(asked, await saving(asked, planFile.out, planStaleToSave(target, table, request, flag, engine)))
  if (!execute) return showPlan(asked, await planStaleOf(target, table, request, flag, engine))
  const saved = planFile.saved === null ? null : await readPlansFile(planFile.saved)
  await orObjections(
    (plan) => showPlan(asked, plan),
    async () => {
      const { flagged, purged } = await purgeStale(target, table, request, flag, engine, saved)
      const results = flagged === null ? [purged] : [flagged, purged]
      notes.note(results.flatMap(samplesOfPurge))
      const [shownFlagged, shownPurged] = [flagged, purged].map((result) => {
        if (result === null) return null
        const { plan, ...rest } = result
        return { table: plan.table, ...rest }
      })
      reporter.show('result', { flagged: shownFlagged, purged: shownPurged }, () =>
        results.map((result) => toText(describePurged(result))).join('\n'),
      )
      if (results.some(({ figures }) => (figures?.locked ?? 0) > 0)) invocation.end(EXIT.tryLater)
    },
  )
}
