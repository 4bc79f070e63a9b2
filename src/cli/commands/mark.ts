import { Command } from 'commander'
import { LOCK_LIMITS } from '../../engine/locks/short-locks.ts'
import { mark } from '../../engine/commands/mark.ts'
import type { MarkRequest } from '../../plan/purge/mark.ts'
import { parseTableName } from '../../sql/parse-name.ts'
import { EXECUTE, readCommonOptions, TABLE, withDatabase, type CommonOptions, type Invocation } from '../command.ts'
import { Faults } from '../faults.ts'
import { readPace, withPace, type PaceOptions } from '../pace-options.ts'
import { asking, planOrCarryOut } from '../show-plan.ts'
import { OUTCOMES } from '../outcomes.ts'
import { parseCondition, parseDeadline, parseName } from '../parse.ts'

interface Words extends CommonOptions, PaceOptions {
  readonly where?: string
  readonly set?: string
  readonly allRows?: true
  /** False with `--no-vacuum`. */
  readonly vacuum: boolean
  readonly deadline: string
  readonly execute?: true
}

/** `ebb mark`: soft delete, to be followed by a purge of what is marked. */
export function markCommand(invocation: Invocation): Command {
  const command = new Command('mark')
    .summary('mark rows as deleted, in small batches (soft delete)')
    .description(
      'Marks the rows that match and are not marked yet, in batches, each one short transaction. Rows locked by other sessions are skipped and retried; after a stop, the same command resumes. ebb purge --marked deletes them later.',
    )
    .usage('<table> --where <condition> --set <column> [options]')
    .argument('<table>', TABLE)
    .option('--where <condition>', 'the rows to mark, as after WHERE; now() is fixed once, at the start')
    .option('--set <column>', 'a boolean becomes true; a timestamp or date that is NULL becomes the start time')
    .option('--all-rows', 'allow a condition that is true of every row')
    .option('--no-vacuum', 'do not vacuum and analyze at the end')
    .option(
      '--deadline <time>',
      'how long to retry locked rows, and to wait for a locked table: seconds, or 10 minutes',
      '1 minute',
    )
    .option('--execute', EXECUTE)
  return withDatabase(withPace(command)).action((table: string, words: Words) => act(invocation, table, words))
}

async function act(invocation: Invocation, text: string, words: Words): Promise<void> {
  const { table, request, options } = readWords(invocation, text, words)
  await asking(invocation, words, table, options, (asked) => planOrCarryOut(asked, mark, request, OUTCOMES.mark))
}

function readWords({ context }: Invocation, text: string, words: Words) {
  const faults = new Faults()
  const table = faults.read('<table>', () => parseTableName(text))
  const where = faults.readRequired('--where', words.where, WHERE, (given) => parseCondition(given, WHERE))
  const column = faults.readRequired('--set', words.set, '--set deleted_at: the column of the mark', parseName)
  const deadlineMs = faults.read('--deadline', () => parseDeadline(words.deadline))
  const pacing = readPace(words, faults)
  const surroundings = readCommonOptions(words, context, faults)
  faults.throwIfAny()
  const request: MarkRequest = {
    where: where(),
    column: column(),
    allRows: words.allRows === true,
    vacuum: words.vacuum,
  }
  const options = { ...surroundings(), lockLimits: { ...LOCK_LIMITS, deadlineMs: deadlineMs() }, pacing: pacing() }
  return { table: table(), request, options }
}

const WHERE = '--where "status = \'void\'": which rows to mark'
