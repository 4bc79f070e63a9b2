import { Command } from 'commander'
import {
  approveCandidates,
  candidateSet,
  candidateSets,
  dropCandidates,
  type ReviewOptions,
} from '../../engine/purge/candidate-review.ts'
import type { Target } from '../../db/session.ts'
import { describeCandidateSets, describeDropped } from '../../report/candidates.ts'
import { toText } from '../../text/comment.ts'
import { readReview, showReview, withReview, type ReviewWords } from '../candidate-options.ts'
import {
  executing,
  readCommonOptions,
  reporting,
  withDatabase,
  type CommonOptions,
  type Invocation,
} from '../command.ts'
import { Faults } from '../faults.ts'
import type { Reporter } from '../reporter.ts'
import { parseWhole } from '../parse.ts'

interface Words extends CommonOptions, ReviewWords {
  readonly drop?: true
  readonly execute?: true
}

/** `ebb candidates`: lists, exports, approves and drops candidate sets. */
export function candidatesCommand(invocation: Invocation): Command {
  const command = new Command('candidates')
    .summary('list, export, approve and drop candidate sets')
    .description(
      'Lists the candidate sets recorded by ebb purge --candidates, or shows one of them. Never changes a row of a table.',
    )
    .argument('[set]', 'the number of a set')
    .option('--drop', 'drop the set; its rows are kept')
    .option('--execute', 'record the approval, or drop the set; without this nothing is changed')
  return withDatabase(withReview(command)).action((set: string | undefined, words: Words) =>
    act(invocation, set, words),
  )
}

async function act({ context, args }: Invocation, given: string | undefined, words: Words): Promise<void> {
  const faults = new Faults()
  const id = faults.readOptional('<set>', given, (text) => String(parseWhole(text, 1, Number.MAX_SAFE_INTEGER)))
  const review = readReview(words, faults)
  const surroundings = readCommonOptions(words, context, faults)
  faults.throwIfAny()
  const { target, journalSchema } = surroundings()
  const set = id()
  await reporting(context, words, async (reporter) => {
    if (set === null) return showAll(target, { journalSchema }, reporter)
    const { approvedBy, ticket } = review()
    const change = words.drop === true || approvedBy !== null || ticket !== null
    if (words.execute === true && words.drop === true) {
      const dropped = await dropCandidates(target, set, { journalSchema })
      return reporter.show('dropped', dropped, () => toText(describeDropped(dropped)))
    }
    const stored =
      words.execute === true && change
        ? await approveCandidates(target, set, { approvedBy, ticket }, { journalSchema })
        : await candidateSet(target, set, { journalSchema })
    const command = change && words.execute !== true ? executing(args) : null
    await showReview(target, stored, review(), { journalSchema }, reporter, command)
  })
}

async function showAll(target: Target, options: ReviewOptions, reporter: Reporter): Promise<void> {
  const sets = await candidateSets(target, options)
  reporter.show('sets', sets, () => toText(describeCandidateSets(sets)))
}
