import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { cellsBetween, floor, type Cell, type Grid } from '../../grid/grid.ts'
import type { KeyKind, Position } from '../../grid/key.ts'
import type { Layout } from '../partition/partitioned-shadow.ts'
import { freeCompanion } from '../../sql/names.ts'
import { leafNames } from '../table/leaf.ts'
import { leafShapeOf } from '../rotate/leaf-shape.ts'
import type { SplitSituation } from './situation.ts'

/**
 * The partitions that span more than a cell of the grid, the earliest first. Of one without a lower bound
 * only its rows tell.
 */
export function widePartitions(set: PartitionedTable, grid: Grid, kind: KeyKind): Partition[] {
  return set.partitions.filter(({ range, kind: relation, isDefault, detachPending }) => {
    if (relation !== 'table' || isDefault || detachPending || range === null || range.to === null) return false
    return range.from === null || isWider(grid, kind, range.from, range.to)
  })
}

/** Ids are not in step with a grid whose width has changed since, and so may touch two cells of it. */
function isWider(grid: Grid, kind: KeyKind, from: Position, to: Position): boolean {
  return grid.kind === 'id' ? to - from > grid.width : cellsBetween(grid, kind, from, to).length > 1
}

/**
 * Into which partitions the range of the wide one is divided. Where nothing is
 * kept there is no cell of its own: the first one takes whatever still comes there.
 */
export function layoutOf(situation: SplitSituation): Layout {
  return situation.cells === undefined ? layoutOfRange(situation) : layoutOfDefault(situation, situation.cells)
}

/** Partitions for some cells, and a DEFAULT one for what is left. */
function layoutOfDefault({ set, policy, grid, taken }: SplitSituation, cells: readonly Cell[]): Layout {
  const { kind, column } = policy
  const starts = cells.map(({ from }) => from)
  const leaves = leafNames(set.name, grid, kind, starts, taken)
  const used = new Set([...taken, ...leaves.map(({ name }) => name)])
  return {
    choice: { column, kind },
    cells,
    start: cells[0]?.from ?? null,
    leaves,
    rest: { schema: set.name.schema, name: freeCompanion(set.name.name, '_default', used) },
    primaryKey: null,
    shape: { ...leafShapeOf(set), triggers: [] },
  }
}

function layoutOfRange({ set, policy, grid, partition, least, taken }: SplitSituation): Layout {
  const { range } = partition
  const { kind, column } = policy
  const to = range?.to ?? 0n
  const start = floor(grid, kind, least !== null && least < to ? least : to - 1n)
  const cells = cellsBetween(grid, kind, range?.from != null && start < range.from ? range.from : start, to).map(
    (cell): Cell => ({ from: cell.from, to: cell.to < to ? cell.to : to }),
  )
  const starts = cells.map(({ from }) => from)
  return {
    choice: { column, kind },
    cells,
    start: range?.from ?? null,
    leaves: leafNames(set.name, grid, kind, starts, taken),
    primaryKey: null,
    shape: { ...leafShapeOf(set), triggers: [] },
  }
}
