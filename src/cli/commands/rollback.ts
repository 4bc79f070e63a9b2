import { Command } from 'commander'
import { planRollbackOf, rollback } from '../../engine/runs/runs.ts'
import type { Invocation } from '../command.ts'
import { withRun, type RunOptions } from '../run-options.ts'
import { undo } from '../undo.ts'

/** `ebb rollback`: undoes a finished run. */
export function rollbackCommand(invocation: Invocation): Command {
  const command = new Command('rollback')
    .summary('undo a finished run')
    .description(
      'Undoes a finished run. A partitioned table becomes a plain one again, as long as all its rows are in the history partition; after a copy (rebuild, split, partition --method copy) the retired table comes back with every write made since, until ebb retire drops it.',
    )
  return withRun(command).action((run: string | undefined, words: RunOptions) =>
    undo(invocation, run, words, { name: 'rollback', plan: planRollbackOf, act: rollback }),
  )
}
