import { Command } from 'commander'
import type { Invocation } from '../command.ts'
import { reporterFor } from '../reporter.ts'

interface Words {
  readonly keep?: true
  readonly json?: true
}

/** `ebb demo`: the whole story on a server of its own. */
export function demoCommand({ context, log }: Invocation): Command {
  return new Command()
    .description(
      'Starts a PostgreSQL server, fills it, lets an application write and read, and meanwhile converts, rotates and splits its tables. Two minutes at most; everything is removed afterwards.',
    )
    .option('--keep', 'leave the server running, and print its URL')
    .option('--json', 'tell the story on standard error, and print the figures as JSON on standard output')
    .action(async ({ keep, json }: Words) => {
      // Nobody else needs it, nor the server binaries that it looks for.
      const { runDemo } = await import('../../demo/demo.ts')
      const stage = json === true ? { ...context, out: context.err } : context
      const report = await runDemo(stage, { keep: keep === true })
      if (json === true) reporterFor(context, true, log).show('result', report, () => '')
    })
}
