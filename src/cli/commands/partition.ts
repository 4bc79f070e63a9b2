import { Command } from 'commander'
import { partition, planPartitionOf, type EngineOptions } from '../../engine/partition.ts'
import { ObjectionsError } from '../../errors.ts'
import { parseInterval } from '../../grid/interval.ts'
import { parseWidth } from '../../plan/parse-width.ts'
import type { PartitionPlan } from '../../plan/partition.ts'
import type { PartitionRequest } from '../../plan/request.ts'
import { describePartitioned } from '../../report/partitioned.ts'
import { toText } from '../../sql/comment.ts'
import { parseTableName, type WrittenName } from '../../sql/parse-name.ts'
import { readSurroundings, reporting, withDatabase, type CommonWords, type Invocation } from '../command.ts'
import { Faults } from '../faults.ts'
import { mapAfterwards } from '../map-afterwards.ts'
import { readPatience, withPatience, type PatienceWords } from '../patience.ts'
import type { Reporter } from '../reporter.ts'
import { showPlan } from '../show-plan.ts'
import { collect, parseName, parseTimezone, parseWhole } from '../words.ts'

interface Words extends CommonWords, PatienceWords {
  readonly by?: string
  readonly every?: string
  readonly keep?: string
  readonly premake?: string
  readonly timezone: string
  readonly expireBy?: string
  readonly accept?: readonly string[]
  readonly execute?: true
}

/** `ebb partition`: a table becomes partitions without moving a row. */
export function partitionCommand(invocation: Invocation): Command {
  const command = new Command('partition')
    .summary('turn a table into partitions while it is in use')
    .description(
      'Turns a table into partitions while it is in use, without moving a row: what it holds becomes the first partition, new rows go to partitions ahead.',
    )
    .usage('<table> --by <column> --every <interval or ids> [options]')
    .argument('<table>', 'as SQL names it: events, public.events, \'"My.Schema"."Events"\'')
    .option('--by <column>', 'the key: a time, an epoch integer, a UUIDv7 or a growing id (required)')
    .option('--every <width>', 'of a partition: month, 7 days, … or so many ids, 10_000_000 (required)')
    .option('--keep <interval>', 'how long rows are kept; for rotate, which removes nothing without it')
    .option('--premake <n>', 'partitions ahead of now; by default what suits the width')
    .option('--timezone <name>', 'whose midnight separates partitions', 'UTC')
    .option('--expire-by <column>', 'the time by which rows of a table partitioned by id expire')
    .option('--accept <code>', 'go ahead in spite of this objection; may be repeated', collect)
    .option('--execute', 'do it; without this the plan is shown and nothing is changed')
  return withDatabase(withPatience(command)).action((table: string, words: Words) => act(invocation, table, words))
}

async function act(invocation: Invocation, text: string, words: Words): Promise<void> {
  const { table, request, options } = readWords(invocation, text, words)
  await reporting(invocation.context, words, async (reporter, observer) => {
    const { target, ...rest } = options
    const engine: EngineOptions = { ...rest, observer }
    if (words.execute !== true) {
      return show(invocation, reporter, await planPartitionOf(target, table, request, engine))
    }
    try {
      const result = await partition(target, table, request, engine)
      const { runId, steps, nothingToDo } = result
      const map = await mapAfterwards(target, result.plan.table)
      const shown = { runId, table: result.plan.table, steps, nothingToDo, map }
      reporter.show('result', shown, () => toText(describePartitioned(shown)))
    } catch (error) {
      if (!(error instanceof ObjectionsError)) throw error
      show(invocation, reporter, error.plan as PartitionPlan)
    }
  })
}

function show(invocation: Invocation, reporter: Reporter, plan: PartitionPlan): void {
  showPlan(invocation, reporter, plan, { policy: plan.conversion?.policy ?? null })
}

function readWords(
  { context }: Invocation,
  text: string,
  words: Words,
): {
  table: WrittenName
  request: PartitionRequest
  options: Omit<EngineOptions, 'observer'> & { target: ReturnType<ReturnType<typeof readSurroundings>>['target'] }
} {
  const faults = new Faults()
  const table = faults.read('<table>', () => parseTableName(text))
  const by = faults.readRequired('--by', words.by, '--by created_at: the column whose value decides', parseName)
  const every = faults.readRequired('--every', words.every, '--every month: how wide a partition is', parseWidth)
  const keep = faults.readOptional('--keep', words.keep, parseInterval)
  const premake = faults.readOptional('--premake', words.premake, (premake) => parseWhole(premake, 1, 1000))
  const timezone = faults.read('--timezone', () => parseTimezone(words.timezone))
  const expireBy = faults.readOptional('--expire-by', words.expireBy, parseName)
  const patience = readPatience(words, faults)
  const surroundings = readSurroundings(words, context, faults)
  faults.throwIfAny()
  return {
    table: table(),
    request: {
      by: by(),
      every: every(),
      keep: keep(),
      premake: premake(),
      timezone: timezone(),
      expireBy: expireBy(),
      accept: words.accept ?? [],
    },
    options: { ...surroundings(), patience: patience() },
  }
}
