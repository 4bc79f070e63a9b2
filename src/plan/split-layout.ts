import type { Partition, PartitionedTable } from '../catalog/partitioned-table.ts'
import { cellsBetween, floor, type Cell, type Grid } from '../grid/grid.ts'
import type { KeyKind } from '../grid/key.ts'
import { partitionName } from '../grid/partition-name.ts'
import { keepWindow } from './keep-window.ts'
import type { Layout } from './partitioned-shadow.ts'
import { leafShapeOf } from './rotate-runway.ts'
import type { SplitRequest, SplitSituation } from './split-situation.ts'

/** The partition that is wider than the others: the first one that spans more than a cell of the grid. */
export function widePartition(set: PartitionedTable, grid: Grid, kind: KeyKind): Partition | undefined {
  return set.partitions.find(({ range, kind: relation, isDefault, detachPending }) => {
    if (relation !== 'table' || isDefault || detachPending || range === null || range.to === null) return false
    return range.from === null || cellsBetween(grid, kind, range.from, range.to).length > 1
  })
}

/** Into which partitions the range of the wide one is divided. */
export function layoutOf(
  { server, set, parent, policy, grid, partition, min, taken }: SplitSituation,
  { keep }: SplitRequest,
): Layout {
  const { range } = partition
  const { kind, column } = policy
  const to = range?.to ?? 0n
  const horizon = keepWindow(policy, keep, parent, BigInt(server.now))?.from ?? null
  const lowest = horizon ?? min ?? to - 1n
  const start = floor(grid, kind, lowest < to ? lowest : to - 1n)
  const cells = cellsBetween(grid, kind, range?.from != null && start < range.from ? range.from : start, to).map(
    (cell): Cell => ({ from: cell.from, to: cell.to < to ? cell.to : to }),
  )
  const used = new Set(taken)
  const leaves = cells.map((cell) => {
    const name = partitionName(set.name.name, grid, kind, cell.from, used)
    used.add(name)
    return { schema: set.name.schema, name }
  })
  return {
    choice: { column, kind },
    cells,
    start: range?.from ?? null,
    leaves,
    primaryKey: null,
    shape: { ...leafShapeOf(set), triggers: [] },
  }
}
