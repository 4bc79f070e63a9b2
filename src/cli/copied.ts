import type { Target } from '../db/session.ts'
import type { CopyResult } from '../engine/copy/run.ts'
import { sizesOf } from '../engine/runs/retired.ts'
import type { Copied } from '../report/copied.ts'
import { sameName } from '../sql/names.ts'
import { mapAfterwards } from './partition-map.ts'

/**
 * The report of a finished copy. The work is done by then: a failing look-up
 * must not be reported as a failure of the work.
 */
export async function lookAfterCopy(
  target: Target,
  command: string,
  { runId, plan, steps, nothingToDo, receipt }: Omit<CopyResult, 'swap'>,
): Promise<Copied> {
  const retired = plan.rebuild?.retired ?? plan.table
  const sizes = await sizesOf(target, [plan.table, retired]).catch(() => [])
  return {
    runId,
    command,
    table: plan.table,
    steps,
    now: sizes.find(({ name }) => sameName(name, plan.table)) ?? null,
    retired: sizes.find(({ name }) => sameName(name, retired)) ?? null,
    retireAfter: plan.rebuild?.retireAfter ?? null,
    receipt,
    map: await mapAfterwards(target, plan.table),
    nothingToDo,
  }
}
