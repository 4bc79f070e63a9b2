import { inspect } from '../../engine/commands/inspect.ts'
import { describeInspection } from '../../report/inspection.ts'
import { INSPECT } from '../../requests/inspect.ts'
import { toText } from '../../text/comment.ts'
import { commandLine } from '../command.ts'

/** `ebb inspect`: what a table is and what could go wrong with it. */
export const inspectCommand = commandLine(
  INSPECT,
  {
    description:
      'Shows a table without changing anything: its size, candidate keys, dependent objects, risks, and what to do next.',
  },
  async ({ target, engine, reporter }, table) => {
    const inspection = await inspect(target, table, engine)
    reporter.show('inspection', inspection, () => toText(describeInspection(inspection)))
  },
)
