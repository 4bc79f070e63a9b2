import type { MapEntry } from '../catalog/inspect-partitions.ts'
import type { PartitionResult } from '../engine/partition.ts'
import { showBytes, showCount } from '../plan/units.ts'
import { display } from '../sql/names.ts'
import { showElapsed } from './elapsed.ts'
import { partitionMap } from './partition-map.ts'

/** What a conversion has come to: what it cost the others, and what is there now. */
export function describePartitioned(
  { runId, plan, steps, swap, nothingToDo }: PartitionResult,
  map: readonly MapEntry[],
): string {
  const table = display(plan.table)
  const total = map.reduce((sum, { bytes }) => sum + bytes, 0)
  const work = steps.reduce((sum, { milliseconds }) => sum + milliseconds, 0)
  const longest = Math.max(0, ...steps.map(({ lock }) => lock?.longestWaitCausedMs ?? 0))
  return `${[
    nothingToDo
      ? `${table} has been partitioned by run ${runId} already: there was nothing to do.`
      : `${table} is partitioned (run ${runId}).`,
    '',
    ...(steps.length === 0 ? [] : [`  time taken                 ${showElapsed(work)}`]),
    ...(swap === null
      ? []
      : [
          `  swap, time under lock      ${showElapsed(swap.heldMs)}${swap.attempts > 1 ? ` (attempt ${swap.attempts})` : ''}`,
        ]),
    ...(steps.length === 0 ? [] : [`  longest wait caused        ${showElapsed(longest)}`]),
    `  size                       ${showBytes(total)} in ${showCount(map.length)} partitions`,
    '',
    ...partitionMap(map).map((line) => `  ${line}`),
    '',
    `From now on: ebb rotate ${table}`,
  ].join('\n')}\n`
}
