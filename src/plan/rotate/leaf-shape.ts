import type { Partition, PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import { isSecured } from '../table/definitions.ts'
import type { LeafShape } from '../table/leaf.ts'
import { commonParts } from '../table/own-parts.ts'

/** What a new partition takes from its parent and from its newest sibling, because a parent has no storage options. */
export function leafShapeOf(set: PartitionedTable): LeafShape {
  const newest = newestTable(set)
  return {
    parent: set.name,
    owner: set.owner,
    tablespace: set.tablespace ?? newest?.tablespace ?? null,
    // Columns are for what is written to no more.
    accessMethod: set.accessMethod ?? (newest?.columnar ? null : (newest?.accessMethod ?? null)),
    options: newest?.options ?? [],
    rowSecurity: !isSecured(set.rowSecurity) && newest?.rowSecurity ? 'on' : set.rowSecurity,
    identity: newest?.identity ?? 'default',
    excludes: set.excludes,
    parts: commonParts(set),
    defaultGrantees: set.defaultGrantees,
    triggers: set.unusualTriggers,
  }
}

function newestTable({ partitions }: PartitionedTable): Partition | undefined {
  return partitions.findLast(({ kind, range, detachPending }) => kind === 'table' && range !== null && !detachPending)
}
