import type { MapEntry } from '../catalog/partitions/inspect-partitions.ts'
import type { Target } from '../db/session.ts'
import { partitionMapOf } from '../engine/commands/inspect.ts'
import type { TableName } from '../sql/names.ts'

/**
 * The partitions of a table after a command; none where they cannot be read. The
 * command has ended by then, and a failure to read them is not one of the command.
 */
export async function mapAfterwards(target: Target, table: TableName): Promise<readonly MapEntry[]> {
  return partitionMapOf(target, table).catch(() => [])
}
