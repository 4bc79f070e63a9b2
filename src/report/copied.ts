import type { MapEntry } from '../catalog/partitions/inspect-partitions.ts'
import type { RelationSize } from '../catalog/table/relation-size.ts'
import type { StepResult } from '../engine/execute.ts'
import type { ReceiptEntry } from '../journal/archives.ts'
import { displayInterval, type Interval } from '../grid/interval.ts'
import { showAbout, showBytes, showRows } from '../text/units.ts'
import { columns } from '../text/columns.ts'
import { display, type TableName } from '../sql/names.ts'
import { describeCosts } from './costs.ts'
import { indented } from './partitioned.ts'
import { partitionMap } from './partition-map.ts'

/** A finished copy: the new table has replaced the original. */
export interface Copied {
  readonly runId: string
  readonly command: string
  readonly table: TableName
  readonly steps: readonly StepResult[]
  /** Null where the size cannot be read. */
  readonly now: RelationSize | null
  readonly retired: RelationSize | null
  readonly map: readonly MapEntry[]
  /** Of the rows left out; null where they are in no archive. */
  readonly receipt: ReceiptEntry | null
  /** Counted from the end of the run; null: the retired table is kept until it is dropped by hand. */
  readonly retireAfter: Interval | null
  /** An earlier run of the same command has done it. */
  readonly nothingToDo: boolean
}

/** The result of a copy: its impact on other sessions, the new table, and the retired one. */
export function describeCopied(copied: Copied): string[] {
  const { runId, command, table, steps, now, retired, map, retireAfter, nothingToDo, receipt } = copied
  const name = display(table)
  return [
    nothingToDo
      ? `${name} was already ${DONE[command] ?? command} by run ${runId}: nothing to do.`
      : `${name} is ${DONE[command] ?? command} (run ${runId}).`,
    ...indented(describeCosts(steps)),
    '',
    ...columns(
      [
        ...(now === null ? [] : [[name, ...sizeOf(now)]]),
        ...(retired === null
          ? []
          : [[display(retired.name), ...sizeOf(retired), 'retired table, kept for a rollback']]),
      ],
      [1, 2],
    ),
    ...(map.length === 0 ? [] : ['', ...indented(partitionMap(map))]),
    ...(receipt === null ? [] : ['', `${showRows(receipt.rows)} left out, archived: ${receipt.uri}`]),
    '',
    ...columns([
      ...(nothingToDo && retired === null ? [] : waysOn(runId, retireAfter)),
      ...(map.length === 0 ? [] : [[`From now on:`, `ebb rotate ${name}`]]),
    ]),
  ]
}

function waysOn(runId: string, retireAfter: Interval | null): string[][] {
  const byItself = retireAfter === null ? '' : `; or ebb rotate drops it after ${displayInterval(retireAfter)}`
  return [
    [`To roll back:`, `ebb rollback ${runId}`],
    [`To drop the retired table:`, `ebb retire ${runId}${byItself}`],
  ]
}

const DONE: Readonly<Record<string, string>> = {
  rebuild: 'rebuilt',
  'partition-copy': 'partitioned',
  split: 'split',
}

function sizeOf({ estimatedRows, bytes }: RelationSize): string[] {
  return [showAbout(estimatedRows), showBytes(bytes)]
}
