import type { PartitionedTable } from '../catalog/partitions/partitioned-table.ts'
import type { ServerModel } from '../catalog/server-model.ts'

// A monitor asks what is due, and does nothing of it. Its role need not be able to: what it lacks says nothing about the tables.

/** Whether a role can do no more than look: the journal is not its own. */
export function mayOnlyLook({ journalExists, journalUsable, mayCreateSchema }: ServerModel): boolean {
  return journalExists ? !journalUsable : !mayCreateSchema
}

/** The server, as a role sees it that may do everything. */
export function asIfAble(server: ServerModel): ServerModel {
  return { ...server, readOnly: false, firesTriggers: true, mayCreateSchema: true, journalUsable: true }
}

/** A partitioned table, as its owner sees it. */
export function asIfOwned(set: PartitionedTable): PartitionedTable {
  const partitions = set.partitions.map((partition) => ({ ...partition, actAsOwner: true }))
  return { ...set, actAsOwner: true, createInSchema: true, partitions }
}
