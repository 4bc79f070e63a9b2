import type { Session } from '../db/session.ts'
import { inSnapshot } from '../db/transaction.ts'
import { EbbError } from '../errors.ts'
import { digestOfHolds } from '../journal/holds.ts'
import { heldRows, heldText, type Hold } from '../plan/language/hold.ts'
import { display, type TableName } from '../sql/names.ts'
import { readHolds } from './first-look.ts'

// Rows may be restored while a run is at work, or while it is interrupted: into a partition of its table, or into a
// table from which rows are deleted with those of its own. A hold is committed with the rows that are on it, so whoever
// has removed a row, and looks for new holds before the commit, sees the hold of that row. A look is a query that knows
// what was there before, and costs little.

/** Of a run that may not remove rows that are on hold. */
export interface HoldWatch {
  readonly tables: readonly TableName[]
  /** What to do when one is found. */
  readonly next: string
  /** A digest of the holds that have been looked at. */
  seen: string
}

/**
 * Begins to watch.
 *
 * @throws {EbbError} if rows of these tables are on hold now
 */
export async function watchHolds(
  session: Session,
  journalSchema: string,
  tables: readonly TableName[],
  next = RESUME,
): Promise<HoldWatch> {
  const watch = { tables, next, seen: '' }
  await inSnapshot(session, () => lookAgain(session, journalSchema, watch))
  return watch
}

/** Whether there are holds that have not been looked at; of none where none are obeyed. One query. */
export async function areNewHolds(session: Session, journalSchema: string, watch: HoldWatch | null): Promise<boolean> {
  return watch !== null && (await digestOfHolds(session, journalSchema)) !== watch.seen
}

/**
 * Looks at them, in the transaction that is open: it does not commit if one is on rows of these tables.
 *
 * @throws {EbbError} if it is
 */
export async function lookAgain(session: Session, journalSchema: string, watch: HoldWatch | null): Promise<void> {
  if (watch === null) return
  const seen = await digestOfHolds(session, journalSchema)
  for (const table of watch.tables) {
    const [hold] = await readHolds(session, journalSchema, table)
    if (hold !== undefined) throw onHold(hold, watch.next)
  }
  watch.seen = seen
}

/** When the table that a hold may be on has another name already, or is gone: the next attempt looks. */
export function holdsMeanwhile(): EbbError {
  return new EbbError(
    'rows have been restored meanwhile, and are on hold',
    {
      state: 'This step has been rolled back.',
      next: 'Run the same command again: it resumes, and looks whether they are of this table.',
    },
    'try later',
  )
}

const RESUME =
  'Wait until then, and run the same command again: it resumes. To remove them all the same, resume the run with --accept hold (ebb status shows its number). Or end it: ebb abandon.'

export function onHold(hold: Hold, next: string): EbbError {
  return new EbbError(
    `${heldRows(hold)} of ${display(hold.table)} are on hold ${heldText(hold)}`,
    {
      state: 'No row of them has been removed. What was done before stays.',
      next,
    },
    'objections',
  )
}
