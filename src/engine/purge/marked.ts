import { readPresentTable, resolveTable } from '../../catalog/table/read-table.ts'
import { readServer } from '../../catalog/server-model.ts'
import type { Target } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { UsageError } from '../../errors.ts'
import type { Interval } from '../../grid/interval.ts'
import { DEFAULT_SCHEMA } from '../../journal/journal.ts'
import { columnObjection, markedLongerAgo } from '../../plan/purge/mark.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import { readPatiently, type Patience } from '../locks/patiently.ts'

/** Rows that are marked in a column, and for how long at least; null: however long. */
export interface Marked {
  readonly column: string
  readonly olderThan: Interval | null
}

/**
 * The condition that selects them, as a user would write it.
 *
 * @throws {UsageError} when the column cannot hold such a mark
 */
export async function readMarkedCondition(
  target: Target,
  written: WrittenName,
  marked: Marked,
  patience: Patience,
): Promise<string> {
  return readPatiently(target, 'plan purge', patience, (session) =>
    inSnapshot(session, async () => {
      const { version } = await readServer(session, DEFAULT_SCHEMA)
      const name = await resolveTable(session, written)
      const table = await readPresentTable(session, name, version)
      const column = table.columns.find((one) => one.name === marked.column)
      const condition = column === undefined ? null : markedLongerAgo(column, marked.olderThan)
      if (condition !== null) return condition
      if (column?.type === 'boolean')
        throw new UsageError(
          `${marked.column} is a boolean, and does not say since when a row is marked`,
          'Omit --older-than.',
        )
      const { what, fix } = columnObjection(table, marked.column)
      throw new UsageError(what, fix)
    }),
  )
}
