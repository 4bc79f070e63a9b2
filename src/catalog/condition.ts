import { takingBack } from '../db/savepoint.ts'
import type { Session } from '../db/session.ts'
import { readAll } from '../db/session.ts'
import { codeOf, SQLSTATE } from '../db/sqlstate.ts'
import { EbbError, EXIT, reasonOf, UsageError } from '../errors.ts'
import { display, quoted, type TableName } from '../sql/names.ts'
import { pointAt, type Predicate } from '../sql/predicate.ts'
import { pathForSet } from '../sql/search-path.ts'
import { raw, sql } from '../sql/sql.ts'

/** Functions of a condition that give another answer each time they are asked. */
export async function readVolatile(session: Session, predicate: Predicate | null): Promise<string[]> {
  const names = (predicate?.functions ?? []).map((name) => name.at(-1) ?? '')
  const rows = await readAll<{ name: string }>(
    session,
    sql`select distinct proname::text as name from pg_proc where proname = any (${names}::text[]) and provolatile = 'v'`,
  )
  return rows.map(({ name }) => name)
}

/**
 * Rows that a condition (null: none) selects, as the planner believes; nothing
 * is read. The server reads the condition for it, under the given search path.
 *
 * @throws {UsageError} when it does not fit the table
 * @throws {EbbError} when the role may not see all of it
 */
export async function readRowEstimate(
  session: Session,
  table: TableName,
  predicate: Pick<Predicate, 'text' | 'written'> | null,
  searchPath: string,
): Promise<number> {
  const { written, text } = predicate ?? { written: 'true', text: 'true' }
  // The user's own words first: an error points into them.
  if (written !== text) await estimate(session, table, written, searchPath)
  return estimate(session, table, text, searchPath)
}

async function estimate(session: Session, table: TableName, condition: string, searchPath: string): Promise<number> {
  const before = sql`explain (format json) select from ${quoted(table)} t where (`
  try {
    return await takingBack(session, async () => {
      await session.query(`set local search_path to ${pathForSet(searchPath)}`)
      const explain = sql`${before}${raw(condition)}\n)`
      const { rows } = await session.query<{ 'QUERY PLAN': readonly { Plan: { 'Plan Rows': number } }[] }>(explain.text)
      return rows[0]?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0
    })
  } catch (error) {
    if (codeOf(error) === SQLSTATE.insufficientPrivilege) throw notToBeSeen(table, error)
    throw new UsageError(
      `the condition does not fit ${display(table)}: ${reasonAndPlace(error, condition, [...before.text].length)}`,
      'Use columns and types of the table.',
      error,
    )
  }
}

function notToBeSeen(table: TableName, error: unknown): EbbError {
  return new EbbError(
    `this role may not see all of ${display(table)}: ${reasonOf(error)}`,
    {
      state: 'Nothing has been changed.',
      next: 'Connect as its owner; where row-level security is forced on the owner, as a role with BYPASSRLS.',
    },
    EXIT.objections,
    error,
  )
}

function reasonAndPlace(error: unknown, condition: string, before: number): string {
  const reason = reasonOf(error)
  const { position } = error as { position?: string }
  return position === undefined ? reason : reason + pointAt(condition, Number(position) - 1 - before)
}
