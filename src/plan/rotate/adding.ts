import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { sameName, type TableName } from '../../sql/names.ts'
import type { Sql } from '../../sql/sql.ts'
import type { ShortLockStep } from '../language/step.ts'
import { leafLocks } from '../partition/conversion.ts'
import { createLeaf, createTree } from '../table/leaf.ts'
import { referencesOf } from '../table/own-parts.ts'
import { locksBeside } from './beside-default.ts'
import { leafShapeOf } from './leaf-shape.ts'
import { treeFor } from './sub-partitions.ts'

/** A partition that there is not, and its bounds. */
export interface Wanted {
  readonly partition: TableName
  readonly from: Sql
  readonly to: Sql
}

/**
 * The statements that add a partition like those that there are, divided as the newest is, and the locks for that, which
 * are others beside a DEFAULT one.
 *
 * @param taken names in the schema that are in use
 * @param fill puts rows into it before it is attached
 */
export function addPartition(
  set: PartitionedTable,
  { partition, from, to }: Wanted,
  role: string,
  taken: ReadonlySet<string>,
  fill: readonly string[] = [],
): Pick<ShortLockStep, 'locks' | 'quiet' | 'acquire' | 'workTimeoutMs' | 'statements'> {
  const shape = leafShapeOf(set)
  const tree = treeFor(set, partition, shape, taken)
  const statements =
    tree === null
      ? createLeaf(shape, partition, from, to, role, fill)
      : createTree(shape, partition, from, to, role, fill, tree)
  const locks = leafLocks(set.name, [...set.references, ...referencesOf(shape.parts)])
  const beside = locksBeside(set)
  if (beside === null) return { locks, quiet: null, acquire: [], statements }
  return { ...beside, locks: [...beside.locks, ...locks.filter(({ table }) => !sameName(table, set.name))], statements }
}
