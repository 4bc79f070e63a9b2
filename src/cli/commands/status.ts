import { retirable } from '../../engine/runs/retired.ts'
import { status } from '../../engine/runs/runs.ts'
import { describeStatus } from '../../report/status.ts'
import { STATUS } from '../../requests/inspect.ts'
import { toText } from '../../text/comment.ts'
import { commandLine } from '../command.ts'

/** `ebb status`: runs, retired tables, and the tables managed by rotate. */
export const statusCommand = commandLine(
  STATUS,
  {
    description: 'Lists runs, unfinished ones first, the retired tables of copies, and the tables managed by rotate.',
  },
  async ({ target, engine, reporter }) => {
    const report = await status(target, engine)
    const retired = await retirable(target, engine)
    reporter.show('status', { ...report, retired }, () => toText(describeStatus(report, retired, engine.journalSchema)))
  },
)
