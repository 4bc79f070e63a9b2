import { describeHolder } from '../../db/holders.ts'
import type { TableName } from '../../sql/names.ts'
import type { TableContext } from '../table-context.ts'
import { readHoldersOnNodes } from './on-workers.ts'
import { NotReady } from './short-locks.ts'

/**
 * To be called under a lock that keeps writers of a table that Citus stores away, on all nodes. What a node has prepared, and
 * its coordinator lost, holds a lock on shards alone: it is not in the way of ours, and has written rows that are not seen
 * yet.
 *
 * @throws {NotReady} if there is such a transaction
 */
export async function assertNothingPrepared({ control, pid }: TableContext, table: TableName): Promise<void> {
  const holders = await readHoldersOnNodes(control, [table])
  const writer = holders.find((holder) => holder.mode === 'RowExclusiveLock' && holder.pid !== pid)
  if (writer !== undefined) throw new NotReady(describeHolder(writer))
}
