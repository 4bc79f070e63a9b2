import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { UsageError } from '../../errors.ts'
import { renameBack } from '../../plan/table/rename-back.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

/**
 * Makes sure that the table of a run is where it was; `find` tells where it is instead, by what the run has put on it.
 *
 * @throws {UsageError} when it has been dropped, renamed or moved, with what to do about it
 */
export async function assertInPlace(
  session: Session,
  table: TableName,
  find: () => Promise<TableName | null>,
  whenGone: string,
): Promise<void> {
  const { there } = await readOne<{ there: boolean }>(
    session,
    sql`select to_regclass(${quoted(table).text}) is not null as there`,
  )
  if (there) return
  const present = await find()
  if (present === null) throw new UsageError(`${display(table)} has been dropped or renamed`, whenGone)
  throw new UsageError(
    `${display(table)} is called ${display(present)} now`,
    `Give it its name back: ${renameBack(present, table)}`,
  )
}
