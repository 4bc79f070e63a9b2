import type { AnyCommand } from '../command.ts'
import { candidates } from './candidates.ts'
import { mark } from './mark.ts'
import { partitionByCopy } from './partition-copy.ts'
import { partition } from './partition.ts'
import { purge } from './purge.ts'
import { rebuild } from './rebuild.ts'
import { rollback } from './rollback.ts'
import { split } from './split.ts'
import { view } from './view.ts'

/** Every command that leaves runs in the journal. */
export const COMMANDS: readonly AnyCommand[] = [
  partition,
  partitionByCopy,
  rebuild,
  split,
  purge,
  mark,
  view,
  candidates,
  rollback,
]

const BY_NAME = new Map(COMMANDS.map((command) => [command.name, command]))

/** The command of a run. The journal has nothing but what these have written. */
export function commandNamed(name: string): AnyCommand {
  const command = BY_NAME.get(name)
  if (command === undefined) throw new Error(`there is no command ${name}`)
  return command
}
