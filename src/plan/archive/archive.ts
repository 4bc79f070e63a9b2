import { display, type TableName } from '../../sql/names.ts'
import { showBytes, showCount } from '../../text/units.ts'
import { abandonment, endTheRun } from '../language/abandonment.ts'
import type { Plan } from '../language/step.ts'
import { describeReading } from '../table/objections/condition.ts'
import { serverNotes } from '../table/objections/server.ts'
import { archiveObjections } from './objections.ts'
import type { ArchiveOrder, ArchiveSituation } from './situation.ts'
import { archiveStep, describeArchive } from './step.ts'

export const COMMAND = 'archive'

/** Plans an archive of some or all rows of a table. Pure. */
export function planArchive(situation: ArchiveSituation, order: ArchiveOrder): Plan {
  const { server, table, predicate, condition, rows, bytes } = situation
  const objections = archiveObjections(situation, order)
  const base = { goal: goalOf(table.name, order), table: table.name, dependents: [], objections }
  const notes = [...serverNotes(server), LONG_SNAPSHOT, ...(situation.stored === undefined ? [] : [ON_SEVERAL_NODES])]
  if (objections.length > 0) return { ...base, evidence: [], notes, steps: [] }
  const count = rows === null ? 'an unknown number of rows' : `about ${showCount(rows)} rows`
  const which = predicate === null ? '' : ` where ${predicate.written}`
  return {
    ...base,
    evidence: [
      `${count}${which}, of ${showBytes(bytes)} with indexes`,
      ...describeReading(condition),
      ...describeArchive(order.to),
      'nothing is removed',
    ],
    notes,
    steps: [
      archiveStep({
        command: COMMAND,
        kind: table.kind === 'partitioned table' ? 'partitioned table' : 'table',
        rows: {
          table: table.name,
          oid: table.oid,
          partitionOf: null,
          chosen: predicate === null ? null : `where (${predicate.text}\n)`,
          where: predicate?.text ?? null,
          horizon: null,
          estimatedRows: rows,
        },
        settings: predicate === null ? {} : condition.settings,
        to: order.to,
      }),
    ],
  }
}

function goalOf(table: TableName, { where, to }: ArchiveOrder): string {
  return `archive ${where === null ? 'all' : 'some'} rows of ${display(table)} in ${to.uri}`
}

const LONG_SNAPSHOT =
  'one snapshot is held until all rows have been sent: meanwhile VACUUM removes no row versions that it can still see, in no table of this database'

const ON_SEVERAL_NODES =
  'the nodes of Citus share no snapshot, so there is a receipt only if nobody has written to the table until all rows have been sent, which is found out by its row versions; the coordinator holds the rows in temporary files meanwhile'

/** Abandons an unfinished run: it has changed nothing. */
export function planAbandonArchive(runId: string, table: TableName): Plan {
  return abandonment(
    runId,
    table,
    `nothing has been changed; what it has left in its store is removed by the next ebb archive of ${display(table)}`,
    [endTheRun('abandon:archive')],
  )
}
