import { readPresentTable } from '../catalog/read-table.ts'
import type { ServerModel } from '../catalog/server-model.ts'
import type { TableModel } from '../catalog/table-model.ts'
import { within } from '../db/savepoint.ts'
import { readAll, readOne, type Session } from '../db/session.ts'
import type { StaleParents } from '../plan/mark.ts'
import type { PurgePlan } from '../plan/purge.ts'
import {
  countGroups,
  parentsOfStale,
  staleObjections,
  staleSince,
  type StaleGroups,
  type StaleSince,
} from '../plan/stale.ts'
import type { Objection } from '../plan/step.ts'
import { showCount } from '../plan/units.ts'
import { display, quoted, type TableName } from '../sql/names.ts'
import type { Predicate } from '../sql/predicate.ts'
import { sql } from '../sql/sql.ts'

/** The groups with their horizon, or why they cannot be told. */
export function readSince(table: TableModel, groups: StaleGroups, moment: string): StaleSince | Objection[] {
  const objections = staleObjections(table, groups)
  return objections.length > 0 ? objections : (staleSince(table, groups, moment) ?? [])
}

/** The rows of a parent table to which stale groups belong, or why they cannot be told. */
export async function readParents(
  session: Session,
  server: ServerModel,
  groups: StaleParents,
  parent: TableName,
  moment: string,
): Promise<Predicate | Objection[]> {
  const table = await readPresentTable(session, groups.table, server.version)
  const since = readSince(table, groups, moment)
  if (Array.isArray(since)) return since
  const key = await readReferenced(session, table, groups.group, parent)
  return key === undefined ? [noReference(table, groups.group, parent)] : parentsOfStale(since, key)
}

/** The column of the parent to which a foreign key of that one column leads. */
async function readReferenced(
  session: Session,
  { name }: TableModel,
  column: string,
  parent: TableName,
): Promise<string | undefined> {
  const [found] = await readAll<{ key: string }>(
    session,
    sql`
    select k.attname::text as key from pg_constraint c
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    join pg_attribute k on k.attrelid = c.confrelid and k.attnum = c.confkey[1]
    where c.contype = 'f' and cardinality(c.conkey) = 1 and a.attname = ${column}
      and c.conrelid = ${quoted(name).text}::regclass and c.confrelid = ${quoted(parent).text}::regclass`,
  )
  return found?.key
}

function noReference({ name }: TableModel, column: string, parent: TableName): Objection {
  return {
    code: 'flag-reference',
    what: `no foreign key leads from ${column} of ${display(name)} to ${display(parent)}, so which row a group belongs to is not known`,
    wayOut: 'Name the table that the foreign key leads to, or leave --flag away.',
    acceptable: false,
  }
}

const LOOK_MS = 5_000

interface GroupCount {
  readonly groups: number
  readonly stale: number
}

/** Unknown where counting takes too long: there are very many groups. */
export function readGroupCount(session: Session, since: StaleSince): Promise<GroupCount | 'unknown'> {
  return within(session, LOOK_MS, () => readOne<GroupCount>(session, countGroups(since)))
}

/** The plan with what is known of the groups. */
export function withGroupCount(plan: PurgePlan, count: GroupCount | 'unknown'): PurgePlan {
  const text =
    count === 'unknown'
      ? 'there are too many groups to be counted within 5 s'
      : `${showCount(count.stale)} of ${showCount(count.groups)} groups have had no activity; one that becomes active again in time keeps its rows`
  return { ...plan, evidence: [text, ...plan.evidence] }
}
