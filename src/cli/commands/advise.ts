import { advise } from '../../engine/commands/advise.ts'
import { describeAdvice } from '../../report/advice.ts'
import { ADVISE } from '../../requests/advise.ts'
import { toText } from '../../text/comment.ts'
import { commandLine } from '../command.ts'

/** `ebb advise`: the cheapest safe way to remove rows. */
export const adviseCommand = commandLine(
  ADVISE,
  {
    description:
      'Compares the ways to remove a table’s old rows: rows, bytes, WAL, time and disk needed, locks, and the effects on the application and on subscribers. Nothing is changed.',
  },
  async ({ target, engine, reporter }, request, { table }) => {
    const advice = await advise(target, table, request, engine)
    reporter.show('advice', advice, () => toText(describeAdvice(advice)))
  },
)
