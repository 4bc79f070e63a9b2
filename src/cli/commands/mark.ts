import { mark } from '../../engine/commands/mark.ts'
import { MARK } from '../../requests/mark.ts'
import { commandLine } from '../command.ts'
import { OUTCOMES } from '../outcomes.ts'
import { planOrCarryOut } from '../show-plan.ts'

/** `ebb mark`: soft delete; a purge deletes the marked rows later. */
export const markCommand = commandLine(
  MARK,
  {
    description:
      'Marks the rows that match and are not marked yet, in batches, each one short transaction. Rows locked by other sessions are skipped and retried; after a stop, the same command resumes. ebb purge --marked deletes them later.',
    usage: '<table> --where <condition> --set <column> [options]',
  },
  (asked, request, { table }) => planOrCarryOut(asked, table, mark, request, OUTCOMES.mark),
)
