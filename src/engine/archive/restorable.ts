import { readNotReadBack } from '../../catalog/table/not-read-back.ts'
import type { Session } from '../../db/session.ts'
import { EbbError, NOTHING_CHANGED } from '../../errors.ts'
import { notRestorable } from '../../plan/archive/objections.ts'
import type { TableName } from '../../sql/names.ts'

/** @throws {EbbError} if a column has values that PostgreSQL writes as text and does not read again */
export async function assertRestorable(session: Session, name: TableName): Promise<void> {
  const [first] = notRestorable({ name }, await readNotReadBack(session, name))
  if (first !== undefined) throw new EbbError(first.what, { state: NOTHING_CHANGED, next: first.fix })
}
