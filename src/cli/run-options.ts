import type { Command } from 'commander'
import type { LockLimits } from '../engine/locks/short-locks.ts'
import { resolveName } from '../engine/commands/inspect.ts'
import type { RunChoice } from '../engine/runs/runs.ts'
import type { Pacing } from '../pacing/limits.ts'
import { parseTableName, type WrittenName } from '../sql/parse-name.ts'
import { readCommonOptions, withDatabase, type CommonOptions, type Invocation, type CommonSettings } from './command.ts'
import { Faults } from './faults.ts'
import { readPace, type PaceOptions } from './pace-options.ts'
import { withLockOptions, readLockOptions, type LockWords } from './lock-options.ts'

// The words of the commands that deal with a run: resume, abandon, rollback, retire.

export interface RunOptions extends CommonOptions, LockWords, PaceOptions {
  readonly execute?: true
}

/** What they mean, before anybody has been asked. */
export interface ChosenRun extends CommonSettings {
  readonly choice: RunChoice
  readonly lockLimits: LockLimits
  readonly pacing: Pacing
}

/** Gives a command the words that choose a run. */
export function withRun(command: Command, which = 'its number, or its table (default: the only one)'): Command {
  return withDatabase(
    withLockOptions(
      command.argument('[run]', which).option('--execute', 'execute it; without this the plan is only shown'),
    ),
  )
}

export async function readRunOptions(
  { context }: Invocation,
  text: string | undefined,
  words: RunOptions,
): Promise<ChosenRun> {
  const faults = new Faults()
  const run = faults.readOptional('[run]', text, parseRun)
  const lockLimits = readLockOptions(words, faults)
  const pacing = readPace(words, faults)
  const surroundings = readCommonOptions(words, context, faults)
  faults.throwIfAny()
  const { target } = surroundings()
  const written = run()
  const choice = written === null || 'runId' in written ? written : { table: await resolveName(target, written) }
  return { ...surroundings(), choice, lockLimits: lockLimits(), pacing: pacing() }
}

export function parseRun(text: string): { readonly runId: string } | WrittenName {
  return /^\d{1,18}$/.test(text) ? { runId: text } : parseTableName(text)
}
