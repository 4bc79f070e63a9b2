import { abandon, planAbandonOf } from '../../engine/runs/runs.ts'
import { ABANDON } from '../../requests/runs.ts'
import { commandLine } from '../command.ts'
import { undo } from '../undo.ts'

/** `ebb abandon`: undoes the preparations of an unfinished run. */
export const abandonCommand = commandLine(
  ABANDON,
  {
    name: 'abandon',
    summary: 'undo an unfinished run',
    description: 'Undoes the preparations of an unfinished run, so that the table is as it was before.',
  },
  (asked, chosen) => undo(asked, chosen, { name: 'abandon', plan: planAbandonOf, act: abandon }),
)
