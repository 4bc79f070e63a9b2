import { split } from '../../engine/commands/split.ts'
import { SPLIT } from '../../requests/split.ts'
import { commandLine } from '../command.ts'
import { OUTCOMES } from '../outcomes.ts'
import { planOrCarryOut } from '../show-plan.ts'

/** `ebb split`: splits a history, or another wide partition, into regular ones. */
export const splitCommand = commandLine(
  SPLIT,
  {
    description:
      'Copies the rows of a wide partition, such as the history partition made by ebb partition, into partitions of the regular width, and swaps them in within milliseconds. The old partition is kept as a retired table for ebb rollback until ebb retire drops it.',
  },
  (asked, request, { table }) => planOrCarryOut(asked, table, split, request, OUTCOMES.split),
)
