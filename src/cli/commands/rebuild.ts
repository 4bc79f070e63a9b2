import { rebuild } from '../../engine/commands/rebuild.ts'
import { REBUILD } from '../../requests/rebuild.ts'
import { commandLine } from '../command.ts'
import { OUTCOMES } from '../outcomes.ts'
import { planOrCarryOut } from '../show-plan.ts'

/** `ebb rebuild`: rebuilds a table with the rows to keep. */
export const rebuildCommand = commandLine(
  REBUILD,
  {
    description:
      'Copies the rows to keep into a new table while the old one stays in use, applies the changes captured meanwhile, compares both tables, and swaps them in milliseconds. The retired table is kept for ebb rollback until ebb retire drops it.',
    usage: '<table> --keep <condition> | --keep-all [options]',
  },
  (asked, request, { table }) => planOrCarryOut(asked, table, rebuild, request, OUTCOMES.rebuild),
)
