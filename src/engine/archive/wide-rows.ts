import { hasWiderRow } from '../../catalog/table/wide-rows.ts'
import { inSnapshot, type Session } from '../../db/session.ts'
import { EbbError, NOTHING_CHANGED } from '../../errors.ts'
import { MOST_ROW_BYTES } from '../../plan/archive/parquet/statements.ts'
import type { ArchiveRequest } from '../../plan/archive/request.ts'
import { display, type TableName } from '../../sql/names.ts'
import { showBytes } from '../../text/units.ts'

/** @throws {EbbError} if a row of one of the tables is certainly too wide for the format */
export async function assertNotTooWide(
  session: Session,
  tables: readonly TableName[],
  { format }: Pick<ArchiveRequest, 'format'>,
): Promise<void> {
  if (format !== 'parquet') return
  for (const table of tables)
    if (await inSnapshot(session, () => hasWiderRow(session, { table, predicate: null, settings: {} }, MOST_ROW_BYTES)))
      throw new EbbError(
        `a row of ${display(table)} has more than ${showBytes(MOST_ROW_BYTES)} as CSV, which is too wide for Parquet`,
        { state: NOTHING_CHANGED, next: 'Archive the rows as CSV: --archive-format csv.' },
      )
}
