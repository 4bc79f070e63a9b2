import type { Command } from 'commander'
import { archive } from '../../engine/commands/archive.ts'
import { ARCHIVE } from '../../requests/archive.ts'
import { commandLine, type Invocation } from '../command.ts'
import { OUTCOMES } from '../outcomes.ts'
import { planOrCarryOut } from '../show-plan.ts'
import { archiveListCommand } from './archive-list.ts'
import { archiveVerifyCommand } from './archive-verify.ts'

/** `ebb archive <table>`: stores rows elsewhere, with a receipt, and removes nothing. */
const archiveTableCommand = commandLine(
  ARCHIVE,
  {
    description:
      'Stores the rows of one snapshot, reads them back from where they are stored, and writes a receipt: what was archived, and the digests that prove it. Nothing is removed.',
    usage: '<table> --archive <uri> [--where <condition>] [options]',
  },
  (asked, request, { table }) => planOrCarryOut(asked, table, archive, request, OUTCOMES.archive),
)

/** `ebb archive`, and what is done with archives; a table called `verify` is named with its schema. */
export function archiveCommand(invocation: Invocation): Command {
  return archiveTableCommand(invocation)
    .enablePositionalOptions()
    .helpCommand(false)
    .addCommand(archiveListCommand(invocation).name('list').summary('the archives of a directory or a bucket'))
    .addCommand(
      archiveVerifyCommand(invocation)
        .name('verify')
        .summary('compare an archive with its receipt, without the database'),
    )
}
