import { Command } from 'commander'
import { retirable } from '../../engine/runs/retired.ts'
import { status } from '../../engine/runs/runs.ts'
import { describeStatus } from '../../report/status.ts'
import { toText } from '../../text/comment.ts'
import { readCommonOptions, reporting, withDatabase, type CommonOptions, type Invocation } from '../command.ts'
import { Faults } from '../faults.ts'

/** `ebb status`: runs, retired tables, and the tables managed by rotate. */
export function statusCommand({ context }: Invocation): Command {
  const command = new Command('status')
    .summary('unfinished and recent runs, retired tables, and tables managed by rotate')
    .description('Lists runs, unfinished ones first, the retired tables of copies, and the tables managed by rotate.')
  return withDatabase(command).action(async (words: CommonOptions) => {
    const faults = new Faults()
    const surroundings = readCommonOptions(words, context, faults)
    faults.throwIfAny()
    const { target, ...options } = surroundings()
    await reporting(context, words, async (reporter, observer) => {
      const report = await status(target, { ...options, observer })
      const retired = await retirable(target, options)
      reporter.show('status', { ...report, retired }, () => toText(describeStatus(report, retired)))
    })
  })
}
