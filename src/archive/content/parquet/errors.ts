import { EbbError, NOTHING_CHANGED } from '../../../errors.ts'
import { MOST_ROW_BYTES } from '../../../plan/archive/parquet/statements.ts'
import { showBytes } from '../../../text/units.ts'

export function rowTooWide(): EbbError {
  return new EbbError(`a row has more than ${showBytes(MOST_ROW_BYTES)} as CSV, which is too wide for Parquet`, {
    state: 'The archive has no receipt, and nothing has been removed.',
    next: 'Archive the rows as CSV: --archive-format csv.',
  })
}

export function unreadable(why: string): EbbError {
  return new EbbError(`an object is no Parquet that Ebb has written: ${why}`, {
    state: NOTHING_CHANGED,
    next: 'Verify the archive: ebb archive verify <receipt>.',
  })
}

export function notGivenBack(): EbbError {
  return new EbbError('DuckDB does not give back the rows that it has written as Parquet', {
    state: 'The archive has no receipt, and nothing has been removed.',
    next: 'Archive the rows as CSV: --archive-format csv.',
  })
}
