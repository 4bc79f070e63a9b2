import { Command } from 'commander'
import { split, type SplitOrder } from '../../engine/commands/split.ts'
import { parseInterval } from '../../grid/interval.ts'
import { parseWidth } from '../../plan/partition/parse-width.ts'
import { parseTableName } from '../../sql/parse-name.ts'
import { OUTCOMES } from '../outcomes.ts'
import { EXECUTE, readCommonOptions, withDatabase, type CommonOptions, type Invocation } from '../command.ts'
import { readCopying, readDiskFree, withCopying, type CopyOptions } from '../copy-options.ts'
import { Faults } from '../faults.ts'
import { OF_CHUNKS, readPace, withPace, type PaceOptions } from '../pace-options.ts'
import { readLockOptions, withLockOptions, type LockWords } from '../lock-options.ts'
import { asking, planOrCarryOut } from '../show-plan.ts'

interface Words extends CommonOptions, LockWords, PaceOptions, CopyOptions {
  readonly every?: string
  readonly keep?: string
  readonly execute?: true
}

/** `ebb split`: splits a history, or another wide partition, into regular ones. */
export function splitCommand(invocation: Invocation): Command {
  const command = new Command('split')
    .summary('split the history, or another wide partition, leaving expired rows behind')
    .description(
      'Copies the rows of a wide partition, such as the history partition made by ebb partition, into partitions of the regular width, and swaps them in within milliseconds. The old partition is kept as a retired table for ebb rollback until ebb retire drops it.',
    )
    .argument('<table>', 'the partitioned table, as SQL names it')
    .argument('[partition]', 'the partition to split (default: the first one that is too wide)')
    .option(
      '--every <width>',
      'width of the new partitions: month, 7 days, … or a number of ids (default: that of the table)',
    )
    .option('--keep <interval>', 'leave older rows behind (default: keep all)')
  return withDatabase(withLockOptions(withPace(withCopying(command), OF_CHUNKS).option('--execute', EXECUTE))).action(
    (table: string, partition: string | undefined, words: Words) => act(invocation, table, partition, words),
  )
}

async function act(invocation: Invocation, text: string, partition: string | undefined, words: Words): Promise<void> {
  const { table, order, options } = readWords(invocation, text, partition, words)
  await asking(invocation, words, table, options, (asked) => planOrCarryOut(asked, split, order, OUTCOMES.split))
}

function readWords({ context, args }: Invocation, text: string, wide: string | undefined, words: Words) {
  const faults = new Faults()
  const table = faults.read('<table>', () => parseTableName(text))
  const partition = faults.readOptional('[partition]', wide, parseTableName)
  const every = faults.readOptional('--every', words.every, parseWidth)
  const keep = faults.readOptional('--keep', words.keep, parseInterval)
  const copying = readCopying(words, args, faults)
  const diskFree = readDiskFree(words, faults)
  const lockLimits = readLockOptions(words, faults)
  const pacing = readPace(words, faults)
  const surroundings = readCommonOptions(words, context, faults)
  faults.throwIfAny()
  const order: SplitOrder = { partition: partition(), every: every(), keep: keep(), ...copying() }
  return {
    table: table(),
    order,
    options: { ...surroundings(), ...diskFree(), lockLimits: lockLimits(), pacing: pacing() },
  }
}
