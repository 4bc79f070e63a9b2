import { rollback, planRollbackOf } from '../../engine/runs/runs.ts'
import { ROLLBACK } from '../../requests/runs.ts'
import { commandLine } from '../command.ts'
import { undo } from '../undo.ts'

/** `ebb rollback`: undoes a finished run. */
export const rollbackCommand = commandLine(
  ROLLBACK,
  {
    description:
      'Undoes a finished run. A partitioned table becomes a plain one again, as long as all its rows are in the history partition; after a copy (rebuild, split, partition --method copy) the retired table comes back with every write made since, until ebb retire drops it.',
  },
  (asked, chosen) => undo(asked, chosen, { name: 'rollback', plan: planRollbackOf, act: rollback }),
)
