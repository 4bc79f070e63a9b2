import { listArchives } from '../../archive/list-archives.ts'
import { describeArchives } from '../../report/archives.ts'
import { LIST_ARCHIVES } from '../../requests/archives.ts'
import { toText } from '../../text/comment.ts'
import { localCommandLine } from '../command.ts'
import { EXIT } from '../exit-codes.ts'

/** `ebb archive list`: what a directory or a bucket holds. */
export const archiveListCommand = localCommandLine(
  LIST_ARCHIVES,
  {
    description:
      'Lists archives by their receipts: tables, rows, ranges, sizes, and whether the rows have been removed; and what interrupted archives have left. Objects are not read.',
  },
  async ({ invocation, reporter }, uri) => {
    const list = await listArchives(uri, invocation.context.signal)
    reporter.show('archives', list, () => toText(describeArchives(list)))
    if (list.archives.some(({ problems }) => problems.length > 0)) invocation.end(EXIT.failed)
  },
)
