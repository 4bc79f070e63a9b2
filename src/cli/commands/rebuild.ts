import { rebuild } from '../../engine/commands/rebuild.ts'
import { REBUILD } from '../../requests/rebuild.ts'
import { forSeveralTables } from '../../requests/several-tables.ts'
import { commandLine } from '../command.ts'
import { OUTCOMES } from '../outcomes.ts'
import { planOrCarryOutEach } from '../several-tables.ts'

/** `ebb rebuild`: rebuilds tables with the rows to keep. */
export const rebuildCommand = commandLine(
  forSeveralTables(REBUILD),
  {
    description:
      'Copies the rows to keep into a new table while the old one stays in use, applies the changes captured meanwhile, compares both tables, and swaps them in milliseconds. The retired table is kept for ebb rollback until ebb retire drops it.',
    usage: '<tables...> --keep <condition> | --keep-all [options]',
  },
  (asked, request, { tables }) => planOrCarryOutEach(asked, tables, rebuild, request, OUTCOMES.rebuild),
)
