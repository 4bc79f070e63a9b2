import type { MapEntry } from '../catalog/partitions/inspect-partitions.ts'
import type { Target } from '../db/session.ts'
import { partitionMapOf } from '../engine/commands/inspect.ts'
import type { TableName } from '../sql/names.ts'

/**
 * The partitions of a table after something was done with it; none where they
 * cannot be read. The work is done by then, and a look at it that fails must
 * not be reported as if the work had.
 */
export async function mapAfterwards(target: Target, table: TableName): Promise<readonly MapEntry[]> {
  return partitionMapOf(target, table).catch(() => [])
}
