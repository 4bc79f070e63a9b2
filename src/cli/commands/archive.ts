import { archive } from '../../engine/commands/archive.ts'
import { ARCHIVE } from '../../requests/archive.ts'
import { commandLine } from '../command.ts'
import { OUTCOMES } from '../outcomes.ts'
import { planOrCarryOut } from '../show-plan.ts'

/** `ebb archive`: stores rows elsewhere, with a receipt, and removes nothing. */
export const archiveCommand = commandLine(
  ARCHIVE,
  {
    name: 'archive',
    summary: 'store rows in a directory or a bucket, with a receipt',
    description:
      'Stores rows as one snapshot has them, reads them back from where they are stored, and writes a receipt: what was archived, and the digests that prove it. Nothing is removed.',
    usage: '<table> --archive <uri> [--where <condition>] [options]',
  },
  (asked, request, { table }) => planOrCarryOut(asked, table, archive, request, OUTCOMES.archive),
)
