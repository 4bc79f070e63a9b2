import { findTable } from '../../catalog/table/read-table.ts'
import { readTypesNamed, type UserType } from '../../catalog/table/user-types.ts'
import type { Session } from '../../db/session.ts'
import { UsageError } from '../../errors.ts'
import type { ArchivedTable, Receipt } from '../../plan/archive/receipt.ts'
import type { RestoreRequest } from '../../plan/restore/situation.ts'
import { display, sameName, type TableName } from '../../sql/names.ts'

/** Archived rows, and the table that takes them. */
export interface Destination {
  readonly archived: ArchivedTable
  readonly into: TableName
}

/**
 * Where the rows of a restore go: the first of them into `first`, the others where they were.
 *
 * @throws {UsageError} if a table does not exist
 */
export async function destinationsOf(
  session: Session,
  receipt: Receipt,
  request: Pick<RestoreRequest, 'receipt' | 'archived'>,
  first: TableName,
): Promise<Destination[]> {
  const [one, ...others] = tablesOf(receipt, request)
  const found: Destination[] = [{ archived: one, into: first }]
  for (const archived of others) found.push({ archived, into: await whereItWas(session, archived, request.receipt) })
  return found
}

/**
 * The tables of a receipt that are asked for.
 *
 * @throws {UsageError} if it has none of this name
 */
export function tablesOf(
  { tables }: Receipt,
  { receipt, archived }: Pick<RestoreRequest, 'receipt' | 'archived'>,
): readonly [ArchivedTable, ...ArchivedTable[]] {
  const [first, ...others] = archived === null ? tables : tables.filter((one) => sameName(one, archived))
  if (first !== undefined) return [first, ...others]
  throw new UsageError(
    `${receipt} has no rows of ${archived === null ? 'any table' : display(archived)}`,
    `It has rows of ${tables.map(display).join(', ')}.`,
  )
}

/**
 * A partition that is gone has been dropped by rotate: its rows go through the table, which may have another for them.
 *
 * @throws {UsageError} if there is neither
 */
export async function whereItWas(session: Session, archived: ArchivedTable, receipt: string): Promise<TableName> {
  const places = archived.partitionOf === null ? [archived] : [archived, archived.partitionOf]
  for (const place of places) {
    const found = await findTable(session, place)
    if (found !== undefined) return found
  }
  throw new UsageError(
    `there is no table ${places.map(display).join(' or ')}, of which ${receipt} has rows`,
    'Restore them into a new table: --into <table>; of a receipt with several tables, each by itself: --table <table>.',
  )
}

/** The types of archived columns, as they are now. */
export function readTypesOf(session: Session, { columns }: ArchivedTable): Promise<UserType[]> {
  const names = columns.flatMap(({ types }) => (types ?? []).map(({ name }) => name))
  return readTypesNamed(session, [...new Set(names)])
}
