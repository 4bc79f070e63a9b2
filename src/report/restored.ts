import type { RestoreResult } from '../engine/commands/restore.ts'
import { display } from '../sql/names.ts'
import { showCount } from '../text/units.ts'
import { describeCosts } from './costs.ts'
import { indented } from './partitioned.ts'

/** The result of a restore. */
export function describeRestored({ runId, plan, steps, restored }: RestoreResult): string[] {
  const { archived, rows, differing } = restored
  const left = archived - rows
  return [
    `${showCount(rows)} rows are restored into ${display(plan.table)} (run ${runId}).`,
    ...(left === 0 ? [] : [leftOut(left, differing)]),
    ...indented(describeCosts(steps)),
  ]
}

function leftOut(left: number, differing: number | null): string {
  const which = `${showCount(left)} archived rows were not inserted: not selected, kept when the others were removed, or there already`
  return differing === null || differing === 0
    ? `${which}.`
    : `${which}; ${showCount(differing)} of those there have other values by now, and were left as they are.`
}
