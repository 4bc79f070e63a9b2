import type { Target } from '../../db/session.ts'
import {
  planRetirements,
  planRotations,
  rotate,
  type RotateRequest,
  type RotationReport,
} from '../../engine/commands/rotate.ts'
import { planRotationsToSave, rotateAsSaved } from '../../engine/commands/rotate-saved.ts'
import { explain } from '../../plan/explain/explain.ts'
import { explainRotation } from '../../plan/explain/rotation.ts'
import { describeRotation, NO_SETS, rotationForPrograms, type RotatedSet } from '../../report/rotation.ts'
import { samplesOfRotation } from '../../report/result-metrics.ts'
import { troublesOfRotation } from '../../report/troubles.ts'
import { ROTATE } from '../../requests/rotate.ts'
import { toText } from '../../text/comment.ts'
import { commandLine, executing, type Asked } from '../command.ts'
import { EXIT, exitCodeOfRotation } from '../exit-codes.ts'
import { mapAfterwards } from '../partition-map.ts'
import { readPlansFile } from '../plan-file.ts'
import { planForPrograms, saving } from '../show-plan.ts'

/** `ebb rotate`: creates partitions ahead, retires expired ones. */
export const rotateCommand = commandLine(
  ROTATE,
  {
    description:
      'Creates the partitions that will be needed, and retires those whose rows have all expired. Tables are independent: a failure of one does not stop the others.',
    usage: '<table>… | --all [options]',
  },
  (asked, request, { showValues }) => (asked.execute ? execute(asked, request, showValues) : show(asked, request)),
)

async function show(asked: Asked, request: RotateRequest): Promise<void> {
  const { invocation, reporter, target, engine, planFile } = asked
  const isSaved = planFile.out !== null
  const plans = isSaved
    ? await saving(asked, planFile.out, planRotationsToSave(target, request, engine))
    : await planRotations(target, request, engine)
  const command = executing(invocation)
  // What is saved is of partitions alone.
  const retired = isSaved ? [] : await planRetirements(target, request, engine)
  const value = [
    ...plans.map((plan) => ({ ...planForPrograms(plan), policy: plan.policy, command })),
    ...retired.map((plan) => ({ ...planForPrograms(plan), runId: plan.runId, policy: null, command })),
  ]
  reporter.show('plans', value, () =>
    value.length === 0
      ? toText(NO_SETS)
      : [
          ...plans.map((plan) => explainRotation(plan, { command })),
          ...retired.map((plan) => explain(plan, { command })),
        ].join('\n'),
  )
  if (plans.some(({ objections }) => objections.length > 0)) invocation.end(EXIT.objections)
}

async function execute(
  { invocation, reporter, notes, target, engine, planFile }: Asked,
  request: RotateRequest,
  showValues: boolean,
): Promise<void> {
  const report =
    planFile.saved === null
      ? await rotate(target, request, engine)
      : await rotateAsSaved(target, request, engine, await readPlansFile(planFile.saved))
  notes.note(samplesOfRotation(report), troublesOfRotation(report))
  const sets = await withMaps(target, report)
  reporter.show('result', rotationForPrograms(sets, report, showValues), () =>
    toText(describeRotation(sets, report, showValues)),
  )
  invocation.end(exitCodeOfRotation(report))
}

async function withMaps(target: Target, { sets }: RotationReport): Promise<RotatedSet[]> {
  const rotated: RotatedSet[] = []
  for (const report of sets) rotated.push({ report, map: await mapAfterwards(target, report.table) })
  return rotated
}
