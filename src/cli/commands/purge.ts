import { Command } from 'commander'
import { LOCK_LIMITS } from '../../engine/locks/short-locks.ts'
import { purge } from '../../engine/commands/purge.ts'
import type { PurgeRequest } from '../../plan/purge/purge.ts'
import { parseTableName } from '../../sql/parse-name.ts'
import { refuseArchive } from '../archive.ts'
import { readReview, withReview, type ReviewWords } from '../candidate-options.ts'
import {
  EXECUTE,
  readCommonOptions,
  reporting,
  TABLE,
  withDatabase,
  type CommonOptions,
  type Invocation,
} from '../command.ts'
import { Faults } from '../faults.ts'
import { readChoice, readTableWord, whichRows, withChoices, type ChoiceOptions } from '../purge-choice.ts'
import { purgeStaleGroups } from '../purge-stale.ts'
import { readPace, withPace, type PaceOptions } from '../pace-options.ts'
import { planOrCarryOut } from '../show-plan.ts'
import { OUTCOMES } from '../outcomes.ts'
import { writeCandidateSet } from '../write-candidates.ts'
import { collect, parseDeadline, parseName } from '../parse.ts'

interface Words extends CommonOptions, ChoiceOptions, PaceOptions, ReviewWords {
  /** Commander has one place for both: `--archive <uri>` puts the text there, `--no-archive` puts false. */
  readonly archive?: string | false
  readonly orderBy?: string
  readonly allRows?: true
  /** False with `--no-vacuum`. */
  readonly vacuum: boolean
  readonly deadline: string
  readonly cascade?: true
  readonly protect?: readonly string[]
  readonly execute?: true
}

/** `ebb purge`: deletes rows in small batches. */
export function purgeCommand(invocation: Invocation): Command {
  const command = withChoices(new Command('purge'))
    .summary('delete rows in small batches, where partitions do not fit')
    .description(
      'Deletes the rows that match in batches, each one short transaction. Rows locked by other sessions are skipped and retried; after a stop, the same command resumes.',
    )
    .usage('<table> --where <condition> --no-archive [options]')
    .argument('[table]', TABLE)
    .option('--archive <uri>', 'archive the rows there first (not yet possible in this version)')
    .option('--no-archive', 'remove the rows without archiving them')
    .option('--cascade', 'also delete rows of other tables that reference them, in the same transaction')
    .option(
      '--protect <table>',
      'touch no row of this table: rows leading to one are skipped and reported; may be repeated',
      collect,
    )
    .option('--order-by <column>', 'walk an index that begins with this column')
    .option('--all-rows', 'allow a condition that is true of every row')
    .option('--no-vacuum', 'do not vacuum and analyze at the end')
    .option(
      '--deadline <time>',
      'how long to retry locked rows, and to wait for a locked table: seconds, or 10 minutes',
      '1 minute',
    )
    .option('--execute', EXECUTE)
  return withDatabase(withPace(withReview(command))).action((table: string | undefined, words: Words) =>
    act(invocation, table, words),
  )
}

async function act(invocation: Invocation, text: string | undefined, words: Words): Promise<void> {
  const { table: named, choice, review, request: base, options } = readWords(invocation, text, words)
  await reporting(invocation.context, words, async (reporter, observer) => {
    const { target, ...rest } = options
    const engine = { ...rest, observer }
    const { table, which } = await whichRows(target, named, choice, review, engine)
    const request = { ...base, ...which }
    const asked = { invocation, reporter, target, table, execute: words.execute === true, engine }
    if (words.candidates === true) return writeCandidateSet(asked, which.where, review)
    if (choice.kind === 'stale') return purgeStaleGroups(asked, { ...request, stale: choice.groups }, choice.flag)
    await planOrCarryOut(asked, purge, request, OUTCOMES.purge)
  })
}

function readWords({ context, args }: Invocation, text: string | undefined, words: Words) {
  const faults = new Faults()
  const table = faults.read('<table>', () => readTableWord(text, words))
  const choice = readChoice(words, faults)
  const review = readReview(words, faults)
  const orderBy = faults.readOptional('--order-by', words.orderBy, parseName)
  faults.read('--archive', () => refuseArchive(args))
  const deadlineMs = faults.read('--deadline', () => parseDeadline(words.deadline))
  const protect = faults.read('--protect', () => (words.protect ?? []).map(parseTableName))
  const pacing = readPace(words, faults)
  const surroundings = readCommonOptions(words, context, faults)
  faults.throwIfAny()
  const request: Omit<PurgeRequest, 'where'> = {
    orderBy: orderBy(),
    allRows: words.allRows === true,
    vacuum: words.vacuum,
    noArchive: words.archive === false,
    cascade: words.cascade === true,
    protect: protect(),
    accept: words.accept ?? [],
  }
  const options = { ...surroundings(), lockLimits: { ...LOCK_LIMITS, deadlineMs: deadlineMs() }, pacing: pacing() }
  return { table: table(), choice: choice(), review: review(), request, options }
}
