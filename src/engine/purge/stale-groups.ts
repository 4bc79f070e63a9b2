import { IS_KEY_OF, OID, readForeignKeys } from '../../catalog/references/foreign-key.ts'
import { readPresentTable } from '../../catalog/table/read-table.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import { within } from '../../db/savepoint.ts'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { SQLSTATE } from '../../db/sqlstate.ts'
import type { StaleParents } from '../../plan/purge/mark.ts'
import {
  countGroups,
  parentsOfStale,
  staleObjections,
  staleSince,
  type GroupCount,
  type StaleGroups,
  type StaleSince,
} from '../../plan/purge/stale.ts'
import type { Objection } from '../../plan/language/step.ts'
import { display, type TableName } from '../../sql/names.ts'
import type { Predicate } from '../../sql/predicate.ts'

/** The groups with their horizon, or why they cannot be determined. */
export function readSince(table: TableModel, groups: StaleGroups, moment: string): StaleSince | Objection[] {
  const objections = staleObjections(table, groups)
  return objections.length > 0 ? objections : (staleSince(table, groups, moment) ?? [])
}

/** Stale groups as rows of a parent table. */
export interface Parents {
  readonly predicate: Predicate
  /** Null if there are too many to count. */
  readonly count: GroupCount | null
}

/** The rows of a parent table to which stale groups belong, or why they cannot be determined. */
export async function readParents(
  session: Session,
  server: ServerModel,
  groups: StaleParents,
  parent: TableName,
  moment: string,
): Promise<Parents | Objection[]> {
  const table = await readPresentTable(session, groups.table, server.version)
  const since = readSince(table, groups, moment)
  if (Array.isArray(since)) return since
  const key = await readReferenced(session, table, groups.group, parent)
  if (key === undefined) return [noReference(table, groups.group, parent)]
  return { predicate: parentsOfStale(since, key), count: await readGroupCount(session, since) }
}

/** The column of the parent referenced by a foreign key on that one column. */
async function readReferenced(
  session: Session,
  { name }: TableModel,
  column: string,
  parent: TableName,
): Promise<string | undefined> {
  const between = `${IS_KEY_OF(OID(name))} and k.confrelid = ${OID(parent)}`
  const keys = await readForeignKeys<{ columns: string[]; referredColumns: string[] }>(
    session,
    ['columns', 'referredColumns'],
    between,
  )
  return keys.find(({ columns }) => columns.length === 1 && columns[0] === column)?.referredColumns[0]
}

function noReference({ name }: TableModel, column: string, parent: TableName): Objection {
  return {
    code: 'flag-reference',
    what: `no foreign key on ${column} of ${display(name)} references ${display(parent)}, so the row of a group is unknown`,
    fix: 'Pass the table that the foreign key references, or omit --flag.',
    acceptable: false,
  }
}

const LOOK_MS = 5_000

/** Null if counting timed out, for there are very many groups, or Citus does not leap from one to the next. */
export async function readGroupCount(session: Session, since: StaleSince): Promise<GroupCount | null> {
  const counting = () => readOne<GroupCount>(session, countGroups(since))
  const count = await within(session, LOOK_MS, counting, [SQLSTATE.featureNotSupported])
  return count === 'unknown' ? null : count
}
