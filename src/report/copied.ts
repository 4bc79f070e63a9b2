import type { MapEntry } from '../catalog/partitions/inspect-partitions.ts'
import type { RelationSize } from '../catalog/table/relation-size.ts'
import type { StepResult } from '../engine/execute.ts'
import { displayInterval, type Interval } from '../grid/interval.ts'
import { showBytes, showRows } from '../text/units.ts'
import { columns } from '../text/columns.ts'
import { display, type TableName } from '../sql/names.ts'
import { describeCosts } from './costs.ts'
import { indented } from './partitioned.ts'
import { partitionMap } from './partition-map.ts'

/** A copy that has come to its end, and taken the place of what it was made from. */
export interface Copied {
  readonly runId: string
  readonly command: string
  readonly table: TableName
  readonly steps: readonly StepResult[]
  /** Null where they cannot be looked at. */
  readonly now: RelationSize | null
  readonly former: RelationSize | null
  readonly map: readonly MapEntry[]
  /** After the end; null: the former table stays until somebody lets it go. */
  readonly retireAfter: Interval | null
  /** The same command had done it before. */
  readonly nothingToDo: boolean
}

/** What a copy has come to: what it cost the others, what is there now, and what has been put aside. */
export function describeCopied(copied: Copied): string[] {
  const { runId, command, table, steps, now, former, map, retireAfter, nothingToDo } = copied
  const name = display(table)
  return [
    nothingToDo
      ? `${name} has been ${DONE[command] ?? command} by run ${runId} already: there was nothing to do.`
      : `${name} is ${DONE[command] ?? command} (run ${runId}).`,
    ...indented(describeCosts(steps)),
    '',
    ...columns(
      [
        ...(now === null ? [] : [[name, ...sizeOf(now)]]),
        ...(former === null ? [] : [[display(former.name), ...sizeOf(former), 'as it was, until it is let go']]),
      ],
      [1, 2],
    ),
    ...(map.length === 0 ? [] : ['', ...indented(partitionMap(map))]),
    '',
    ...columns([
      ...(nothingToDo && former === null ? [] : waysOn(runId, retireAfter)),
      ...(map.length === 0 ? [] : [[`From now on:`, `ebb rotate ${name}`]]),
    ]),
  ]
}

function waysOn(runId: string, retireAfter: Interval | null): string[][] {
  const byItself = retireAfter === null ? '' : `; the first ebb rotate in ${displayInterval(retireAfter)} does it`
  return [
    [`To go back:`, `ebb rollback ${runId}`],
    [`To let the former one go:`, `ebb retire ${runId}${byItself}`],
  ]
}

const DONE: Readonly<Record<string, string>> = {
  rebuild: 'rebuilt',
  'partition-copy': 'partitioned',
  split: 'split',
}

function sizeOf({ estimatedRows, bytes }: RelationSize): string[] {
  return [estimatedRows === null ? 'rows unknown' : `about ${showRows(estimatedRows)}`, showBytes(bytes)]
}
