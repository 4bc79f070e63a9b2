import { verifyArchive } from '../../archive/verify-archive.ts'
import { reportRows } from '../../engine/archive/progress.ts'
import type { Observer } from '../../events.ts'
import type { Receipt } from '../../plan/archive/receipt.ts'
import { describeVerification } from '../../report/archives.ts'
import { VERIFY_ARCHIVE } from '../../requests/archives.ts'
import { toText } from '../../text/comment.ts'
import { localCommandLine } from '../command.ts'
import { withIdentities } from '../identities.ts'
import { EXIT } from '../exit-codes.ts'

/** `ebb archive verify`: whether an archive is what its receipt says. */
export const archiveVerifyCommand = localCommandLine(
  VERIFY_ARCHIVE,
  {
    description:
      'Reads every object of an archive and compares it with the receipt: sizes, digests, rows. Without an identity, only the stored bytes of an encrypted archive are compared. Ends with 1 and a list if anything differs.',
  },
  async ({ invocation, reporter }, receipt, { identityFile }) => {
    const { context } = invocation
    const identities = withIdentities(identityFile, context)
    let report: ((rows: number, bytes: number) => void) | null = null
    const verification = await verifyArchive(receipt, {
      identities,
      signal: context.signal,
      onReceipt: (read) => (report = progressOf(read, reporter.observer)),
      onProgress: (rows, bytes) => report?.(rows, bytes),
    })
    reporter.show('verification', verification, () => toText(describeVerification(verification)))
    if (verification.differences.length > 0) invocation.end(EXIT.failed)
  },
)

function progressOf({ tables }: Receipt, observer: Observer) {
  const [{ schema, name } = { schema: '', name: '' }] = tables
  const rows = tables.reduce((sum, table) => sum + table.rows, 0)
  return reportRows(
    { observer: (event) => observer({ ...event, table: { schema, name }, runId: null }) },
    'compare with the receipt',
    rows,
  )
}
