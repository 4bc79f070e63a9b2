import { statusWithRetired, type StatusReport } from '../../engine/runs/status.ts'
import { describeStatus } from '../../report/status.ts'
import { STATUS } from '../../requests/inspect.ts'
import { toText } from '../../text/comment.ts'
import { commandLine } from '../command.ts'
import { EXIT } from '../exit-codes.ts'

/** `ebb status`: runs, retired tables, and the tables managed by rotate. */
export const statusCommand = commandLine(
  STATUS,
  {
    description: 'Lists runs, unfinished ones first, the retired tables of copies, and the tables managed by rotate.',
  },
  async ({ target, engine, reporter, invocation }, { exitCode }) => {
    const report = await statusWithRetired(target, engine)
    reporter.show('status', report, () => toText(describeStatus(report, report.retired, engine.journalSchema)))
    if (exitCode && isUnfinished(report)) invocation.end(EXIT.tryLater)
  },
)

/** Whether a command has to be run again, or has not ended yet. */
function isUnfinished({ runs, archives }: StatusReport): boolean {
  return archives.some(({ hasReceipt }) => !hasReceipt) || runs.some(({ status }) => status === 'running')
}
