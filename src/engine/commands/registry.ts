import { EbbError, NOTHING_CHANGED } from '../../errors.ts'
import type { Run } from '../../journal/journal.ts'
import { display } from '../../sql/names.ts'
import type { AnyCommand } from '../command.ts'
import { archive } from './archive.ts'
import { candidates } from './candidates.ts'
import { mark } from './mark.ts'
import { partitionByCopy } from './partition-copy.ts'
import { partition } from './partition.ts'
import { purge } from './purge.ts'
import { rebuild } from './rebuild.ts'
import { restore } from './restore.ts'
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
  archive,
  rollback,
  restore,
]

const BY_NAME = new Map(COMMANDS.map((command) => [command.name, command]))

/** The command of that name; undefined if this version has none. */
export function commandNamed(name: string): AnyCommand | undefined {
  return BY_NAME.get(name)
}

/**
 * The command of a run.
 *
 * @throws {EbbError} for a run of a command that this version does not have
 */
export function commandOf({ id, command, table }: Pick<Run, 'id' | 'command' | 'table'>): AnyCommand {
  const found = commandNamed(command)
  if (found !== undefined) return found
  throw new EbbError(
    `run ${id} (ebb ${command} ${display(table)}) was started by another version: this one has no such command`,
    { state: NOTHING_CHANGED, next: 'Use the version that started it or a later one.' },
    'objections',
  )
}
