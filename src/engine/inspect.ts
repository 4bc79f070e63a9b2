import { readPartitionMap, type MapEntry } from '../catalog/inspect-partitions.ts'
import { resolveTable } from '../catalog/read-table.ts'
import { inSnapshot, withSession, type Target } from '../db/session.ts'
import type { TableName } from '../sql/names.ts'
import type { WrittenName } from '../sql/parse-name.ts'

/** The partitions of a table, as they are now. */
export async function partitionMapOf(target: Target, table: TableName): Promise<MapEntry[]> {
  return withSession(target, 'inspect', (session) => inSnapshot(session, () => readPartitionMap(session, table)))
}

/** Where a written name leads, for the role that connects. */
export async function resolveName(target: Target, written: WrittenName): Promise<TableName> {
  return withSession(target, 'resolve', (session) => inSnapshot(session, () => resolveTable(session, written)))
}
