import { Command } from 'commander'
import { advise, type AdviceRequest } from '../../engine/commands/advise.ts'
import { UsageError } from '../../errors.ts'
import { parseInterval } from '../../grid/interval.ts'
import { describeAdvice } from '../../report/advice.ts'
import { toText } from '../../text/comment.ts'
import { parseTableName } from '../../sql/parse-name.ts'
import { readCommonOptions, reporting, TABLE, withDatabase, type CommonOptions, type Invocation } from '../command.ts'
import { Faults } from '../faults.ts'

interface Words extends CommonOptions {
  readonly keep?: string
  readonly olderThan?: string
}

/** `ebb advise`: the cheapest safe way to remove rows. */
export function adviseCommand({ context }: Invocation): Command {
  const command = new Command('advise')
    .summary('partition, rebuild or purge: what each would cost, and which to take')
    .description(
      'Compares the ways to remove a table’s old rows: rows, bytes, WAL, time and disk needed, locks, and the effects on the application and on subscribers. Nothing is changed.',
    )
    .argument('<table>', TABLE)
    .option('--keep <condition>', 'the rows to keep, as after WHERE')
    .option('--older-than <interval>', 'remove older rows: 90 days, 3 months')
  return withDatabase(command).action(async (text: string, words: Words) => {
    const faults = new Faults()
    const table = faults.read('<table>', () => parseTableName(text))
    const request = faults.read('--keep, --older-than', () => parseRequest(words))
    const surroundings = readCommonOptions(words, context, faults)
    faults.throwIfAny()
    const { target, ...options } = surroundings()
    await reporting(context, words, async (reporter, observer) => {
      const advice = await advise(target, table(), request(), { ...options, observer })
      reporter.show('advice', advice, () => toText(describeAdvice(advice)))
    })
  })
}

function parseRequest({ keep, olderThan }: Words): AdviceRequest {
  if (keep !== undefined && olderThan !== undefined)
    throw new UsageError('they exclude each other', 'Pass one of them, or neither.')
  if (keep?.trim() === '') throw new UsageError('the condition is empty', 'Omit it, or say which rows to keep.')
  return { keep: keep ?? null, olderThan: olderThan === undefined ? null : parseInterval(olderThan) }
}
