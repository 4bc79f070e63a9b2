import type { MapEntry } from '../catalog/partitions/inspect-partitions.ts'
import type { StepResult } from '../engine/execute.ts'
import { plural, showBytes } from '../text/units.ts'
import { display, type TableName } from '../sql/names.ts'
import { describeCosts } from './costs.ts'
import { partitionMap } from './partition-map.ts'

/** A finished conversion. */
export interface Partitioned {
  readonly runId: string
  readonly table: TableName
  readonly steps: readonly StepResult[]
  readonly nothingToDo: boolean
  readonly map: readonly MapEntry[]
}

/** The result of a conversion: its impact on other sessions, and the partitions. */
export function describePartitioned({ runId, table, steps, nothingToDo, map }: Partitioned): string[] {
  const name = display(table)
  const total = map.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0)
  return [
    nothingToDo
      ? `${name} was already partitioned by run ${runId}: nothing to do.`
      : `${name} is partitioned (run ${runId}).`,
    ...indented(describeCosts(steps)),
    '',
    `${showBytes(total)} in ${plural(map.length, 'partition')}:`,
    ...indented(partitionMap(map)),
    '',
    `From now on: ebb rotate ${name}`,
  ]
}

export function indented(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '' : `  ${line}`))
}
