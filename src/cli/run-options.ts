import type { Command } from 'commander'
import type { Patience } from '../engine/locks/short-locks.ts'
import { resolveName } from '../engine/commands/inspect.ts'
import type { RunChoice } from '../engine/runs/runs.ts'
import type { Pacing } from '../pacing/limits.ts'
import { parseTableName, type WrittenName } from '../sql/parse-name.ts'
import { readSurroundings, withDatabase, type CommonWords, type Invocation, type Surroundings } from './command.ts'
import { Faults } from './faults.ts'
import { readPace, type PaceWords } from './pace-options.ts'
import { withPatience, readPatience, type PatienceWords } from './lock-options.ts'

// The words of the commands that deal with a run: resume, abandon, rollback, retire.

export interface RunWords extends CommonWords, PatienceWords, PaceWords {
  readonly execute?: true
}

/** What they mean, before anybody has been asked. */
export interface ChosenRun extends Surroundings {
  readonly choice: RunChoice
  readonly patience: Patience
  readonly pacing: Pacing
}

/** Gives a command the words that choose a run. */
export function withRun(
  command: Command,
  which = 'its number, or its table; without it the only one there is',
): Command {
  return withDatabase(
    withPatience(
      command.argument('[run]', which).option('--execute', 'do it; without this it is shown and nothing is changed'),
    ),
  )
}

export async function readRunWords(
  { context }: Invocation,
  text: string | undefined,
  words: RunWords,
): Promise<ChosenRun> {
  const faults = new Faults()
  const run = faults.readOptional('[run]', text, parseRun)
  const patience = readPatience(words, faults)
  const pacing = readPace(words, faults)
  const surroundings = readSurroundings(words, context, faults)
  faults.throwIfAny()
  const { target } = surroundings()
  const written = run()
  const choice = written === null || 'runId' in written ? written : { table: await resolveName(target, written) }
  return { ...surroundings(), choice, patience: patience(), pacing: pacing() }
}

export function parseRun(text: string): { readonly runId: string } | WrittenName {
  return /^\d{1,18}$/.test(text) ? { runId: text } : parseTableName(text)
}
