import { Command } from 'commander'
import { abandon, planAbandonOf } from '../../engine/runs/runs.ts'
import type { Invocation } from '../command.ts'
import { withRun, type RunOptions } from '../run-options.ts'
import { undo } from '../undo.ts'

/** `ebb abandon`: undoes the preparations of an unfinished run. */
export function abandonCommand(invocation: Invocation): Command {
  const command = new Command('abandon')
    .summary('undo an unfinished run')
    .description('Undoes the preparations of an unfinished run, so that the table is as it was before.')
  return withRun(command).action((run: string | undefined, words: RunOptions) =>
    undo(invocation, run, words, { name: 'abandon', plan: planAbandonOf, act: abandon }),
  )
}
