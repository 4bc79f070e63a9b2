import { Command } from 'commander'
import { planRollbackOf, rollback } from '../../engine/runs.ts'
import type { Invocation } from '../command.ts'
import { withRun, type RunWords } from '../run-words.ts'
import { undo } from '../undo.ts'

/** `ebb rollback`: a converted table becomes a plain one again. */
export function rollbackCommand(invocation: Invocation): Command {
  const command = new Command('rollback')
    .summary('make a converted table a plain one again')
    .description(
      'Makes a converted table a plain one again, as long as all its rows are in the partition that it was made from.',
    )
  return withRun(command).action((run: string | undefined, words: RunWords) =>
    undo(invocation, run, words, { name: 'rollback', plan: planRollbackOf, act: rollback }),
  )
}
