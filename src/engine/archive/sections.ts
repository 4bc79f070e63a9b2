import { readAll } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import type { ArchivedObject, Encoding } from '../../plan/archive/receipt.ts'
import { sectionsOf, type RowsToArchive, type Section } from '../../plan/archive/rows.ts'
import { own } from '../../sql/operators.ts'
import { raw, sql } from '../../sql/sql.ts'

// Large groups of rows are sent by statements of their own, and each begins an object. So what an object holds is decided by
// the condition of its statement, and never by a count or an order of rows.

/** The parts in which the rows are sent: one, unless there are groups that fill an object. */
export async function readSections(
  session: Session,
  rows: RowsToArchive,
  bytes: { readonly ofTable: number; readonly ofObject: number },
): Promise<readonly Section[]> {
  const { groups } = rows
  if (groups === undefined || bytes.ofTable < bytes.ofObject) return sectionsOf(rows, [])
  // By its share of the rows: to read the sizes of all would take as long as the archive.
  const share = sql`ebb_s.rows ${own('*')} ${raw(String(bytes.ofTable))}::pg_catalog.float8`
  const least = sql`ebb_s.total ${own('*')} ${raw(String(bytes.ofObject))}::pg_catalog.float8`
  const large = await readAll<{ value: string }>(
    session,
    sql`select ebb_s.value from (${raw(groups.sizes)}) ebb_s where (${share}) ${own('>=')} (${least})`,
  )
  return sectionsOf(rows, large.map(({ value }) => value).sort())
}

/** The objects with the group that each is of, if it may be said: of encrypted rows no values are. */
export function withGroups(
  objects: readonly ArchivedObject[],
  sections: readonly Section[],
  sent: readonly (number | null)[],
  { encryption }: Pick<Encoding, 'encryption'>,
): readonly ArchivedObject[] {
  if (sections.length === 1 || encryption !== null) return objects
  const groups = sections.flatMap(({ group }, i) => (sent[i] === 0 ? [] : [{ group, rows: sent[i] ?? NaN }]))
  return objects.map((object) => {
    const [current] = groups
    if (current === undefined || object.rows > current.rows) throw new Error(`${object.name} has rows of two groups`)
    current.rows -= object.rows
    if (current.rows === 0) groups.shift()
    return current.group === null ? object : { ...object, group: current.group }
  })
}
