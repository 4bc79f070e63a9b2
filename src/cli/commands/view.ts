import { view } from '../../engine/commands/view.ts'
import { VIEW } from '../../requests/view.ts'
import { commandLine } from '../command.ts'
import { OUTCOMES } from '../outcomes.ts'
import { planOrCarryOut } from '../show-plan.ts'

/** `ebb view`: a view that hides marked or expired rows until they are purged. */
export const viewCommand = commandLine(
  VIEW,
  {
    description:
      'Creates a view of the table without its marked or expired rows, readable by the roles that may read the table. The same command again updates it.',
    usage: '<table> [--hide-marked <column>] [--by <key> --keep <interval>] [options]',
  },
  (asked, request, { table }) => planOrCarryOut(asked, table, view, request, OUTCOMES.view),
)
