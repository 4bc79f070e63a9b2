import { purge } from '../../engine/commands/purge.ts'
import { PURGE, resolvePurge } from '../../requests/purge.ts'
import { commandLine } from '../command.ts'
import { OUTCOMES } from '../outcomes.ts'
import { purgeStaleGroups } from '../purge-stale.ts'
import { planOrCarryOut } from '../show-plan.ts'
import { recordCandidates } from '../show-review.ts'

/** `ebb purge`: deletes rows in small batches. */
export const purgeCommand = commandLine(
  PURGE,
  {
    description:
      'Deletes the rows that match in batches, each one short transaction. Rows locked by other sessions are skipped and retried; after a stop, the same command resumes.',
    usage: '<table> --where <condition> (--archive <uri> | --no-archive) [options]',
  },
  async (asked, order, values) => {
    const { table, request } = await resolvePurge(asked.target, values.table, order, asked.engine)
    const { rows } = request
    if (rows.kind === 'stale') return purgeStaleGroups(asked, table, { ...request, rows }, order.flag)
    if (rows.kind === 'matching' && values.candidates) return recordCandidates(asked, table, rows.where, values)
    await planOrCarryOut(asked, table, purge, request, OUTCOMES.purge)
  },
)
