import { readPartitionMap, type MapEntry } from '../catalog/inspect-partitions.ts'
import { inSnapshot, withSession, type Target } from '../db/session.ts'
import type { TableName } from '../sql/names.ts'

/** The partitions of a table, as they are now. */
export async function partitionMapOf(target: Target, table: TableName): Promise<MapEntry[]> {
  return withSession(target, 'inspect', (session) => inSnapshot(session, () => readPartitionMap(session, table)))
}
