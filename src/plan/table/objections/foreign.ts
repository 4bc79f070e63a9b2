import type { ForeignTable } from '../../../catalog/foreign-table.ts'
import { display, type TableName } from '../../../sql/names.ts'
import { shellWord } from '../../../text/shell-word.ts'
import { objection } from '../../language/objection.ts'
import type { Objection } from '../../language/step.ts'

/** What does not concern the rows. */
const WORKS = ['view']

/** Why a command does nothing on a foreign table, and where it can be done. Pure. */
export function foreignObjections(command: string, table: TableName, foreign: ForeignTable): Objection[] {
  if (WORKS.includes(command)) return []
  const as = foreign.there === null ? '' : `, in ${display(foreign.there)}`
  return [
    objection(
      'foreign-table',
      `${display(table)} is a foreign table: its rows are on the server ${foreign.server}${as}`,
      wayOut(command, foreign),
    ),
  ]
}

function wayOut(command: string, { there, partitionOf }: ForeignTable): string {
  const whole = partitionOf === null ? null : shellWord(display(partitionOf))
  if (command === 'split')
    return 'Move its rows back into a table here, attach that in its place, and divide it then; or leave it as it is.'
  if (command === 'rotate')
    return whole === null
      ? 'Name a partitioned table.'
      : `Name the table that it is a partition of: ebb rotate ${whole}`
  const elsewhere =
    there === null
      ? 'Do it where its rows are.'
      : `Connect to the database that has them: ebb ${nameOf(command)} ${shellWord(display(there))} … --url <its address>`
  const here = whole === null || !LIMITED.includes(command) ? '' : `; of ${whole}, with a condition that leaves it out`
  return `${elsewhere}${here}`
}

/** Commands that work on a table of which a condition rules some partitions out. */
const LIMITED = ['purge', 'mark', 'candidates']

/** In the journal, a conversion by a copy has a name of its own. */
function nameOf(command: string): string {
  return command === 'partition-copy' ? 'partition' : command
}
