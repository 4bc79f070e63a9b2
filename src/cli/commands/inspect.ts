import { Command } from 'commander'
import { inspect } from '../../engine/commands/inspect.ts'
import { describeInspection } from '../../report/inspection.ts'
import { toText } from '../../text/comment.ts'
import { parseTableName } from '../../sql/parse-name.ts'
import { readCommonOptions, reporting, TABLE, withDatabase, type CommonOptions, type Invocation } from '../command.ts'
import { Faults } from '../faults.ts'

/** `ebb inspect`: what a table is and what could go wrong with it. */
export function inspectCommand({ context }: Invocation): Command {
  const command = new Command('inspect')
    .summary('a table, its size, its dependent objects, and the risks')
    .description(
      'Shows a table without changing anything: its size, candidate keys, dependent objects, risks, and what to do next.',
    )
    .argument('<table>', TABLE)
  return withDatabase(command).action(async (text: string, words: CommonOptions) => {
    const faults = new Faults()
    const table = faults.read('<table>', () => parseTableName(text))
    const surroundings = readCommonOptions(words, context, faults)
    faults.throwIfAny()
    const { target, ...options } = surroundings()
    await reporting(context, words, async (reporter, observer) => {
      const inspection = await inspect(target, table(), { ...options, observer })
      reporter.show('inspection', inspection, () => toText(describeInspection(inspection)))
    })
  })
}
