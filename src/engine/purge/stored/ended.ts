import { describeHolder } from '../../../db/holders.ts'
import { EbbError } from '../../../errors.ts'
import type { ArchivedKeys } from '../../../plan/purge/archive/work.ts'
import { readHoldersOnNodes } from '../../locks/on-workers.ts'
import type { TableContext } from '../../table-context.ts'

/**
 * To be called before the entries of a list are counted or shown. What a node has prepared, and lost its coordinator, may still
 * commit: its rows are gone then, though their entries do not say so yet.
 *
 * @throws {EbbError} if there is such a transaction: Citus ends it within a minute
 */
export async function assertAllEnded({ control }: TableContext, sets: readonly ArchivedKeys[]): Promise<void> {
  const lists = sets.flatMap(({ set, stored }) => (stored === true ? [set] : []))
  if (lists.length === 0) return
  const prepared = (await readHoldersOnNodes(control, lists)).find(({ gid }) => gid !== null)
  if (prepared === undefined) return
  throw new EbbError(
    `a batch has not ended on each node: ${describeHolder(prepared)}`,
    {
      state: 'Each batch is done as a whole or not at all, and recorded.',
      next: 'Run the same command again in a minute: it resumes from here.',
    },
    'try later',
  )
}
