import { hasWiderRow, type Selected } from '../../catalog/table/wide-rows.ts'
import type { Session } from '../../db/session.ts'
import { inSnapshot } from '../../db/transaction.ts'
import { EbbError, NOTHING_CHANGED } from '../../errors.ts'
import { tooWideForParquet } from '../../plan/archive/objections.ts'
import { MOST_ROW_BYTES } from '../../plan/archive/parquet/statements.ts'
import type { ArchiveRequest } from '../../plan/archive/request.ts'
import type { TableName } from '../../sql/names.ts'

/** Whether one of the rows is certainly too wide for the format. Belongs into a transaction. */
export async function isTooWide(
  session: Session,
  { format }: Pick<ArchiveRequest, 'format'>,
  rows: Selected,
): Promise<boolean> {
  return format === 'parquet' && (await hasWiderRow(session, rows, MOST_ROW_BYTES))
}

/** @throws {EbbError} if a row of one of the tables is */
export async function assertNotTooWide(
  session: Session,
  tables: readonly TableName[],
  to: Pick<ArchiveRequest, 'format'>,
): Promise<void> {
  for (const table of tables) {
    if (!(await inSnapshot(session, () => isTooWide(session, to, { table, chosen: null, settings: {} })))) continue
    const { what, fix } = tooWideForParquet(table)
    throw new EbbError(what, { state: NOTHING_CHANGED, next: fix })
  }
}
