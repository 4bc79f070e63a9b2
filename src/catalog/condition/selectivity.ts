import { within } from '../../db/savepoint.ts'
import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { putSession } from '../../db/settings.ts'
import { codeOf, reasonOf } from '../../db/sqlstate.ts'
import { UsageError } from '../../errors.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import type { Predicate } from '../../sql/predicate.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { own } from '../../sql/operators.ts'
import { literal, raw, sql, type Sql } from '../../sql/sql.ts'
import type { LeafModel } from '../partitions/purge-leaves.ts'

/** Whether a condition selects any rows, and whether it selects them all; null where that could not be found out in time. */
export interface Reach {
  readonly selectsSome: boolean | null
  readonly sparesSome: boolean | null
}

const LOOK_MS = 5_000

/** Looks for a row of each kind: one that matches, and one that does not. */
export async function readReach(
  session: Session,
  table: TableName,
  leaves: readonly LeafModel[],
  predicate: Predicate,
  settings: ConditionSettings,
): Promise<Reach> {
  const matches = raw(`(${predicate.text}\n)`)
  const selectsSome = await exists(session, table, sql`select from ${quoted(table)} t where ${matches}`, settings)
  // Rows that are to stay are the youngest more often than not, and those are at the end.
  for (const { name, blocks } of leaves.toReversed().slice(0, LAST_LEAVES)) {
    const end = sql`t.ctid ${own('>=')} ${literal(`(${Math.max(0, blocks - LAST_BLOCKS)},0)`)}::pg_catalog.tid`
    const spared = sql`select from only ${quoted(name)} t where ${end} and ${matches} is not true`
    if (await exists(session, table, spared, settings)) return { selectsSome, sparesSome: true }
  }
  const spared = sql`select from ${quoted(table)} t where ${matches} is not true`
  return { selectsSome, sparesSome: await exists(session, table, spared, settings) }
}

const LAST_LEAVES = 3
const LAST_BLOCKS = 100

async function exists(
  session: Session,
  table: TableName,
  query: Sql,
  settings: ConditionSettings,
): Promise<boolean | null> {
  try {
    const answer = await within(session, LOOK_MS, async () => {
      await putSession(session, settings)
      return readOne<{ there: boolean }>(session, sql`select exists (${query}) as there`)
    })
    return answer === 'unknown' ? null : answer.there
  } catch (error) {
    throw failsOnRows(error) ? failing(table, error) : error
  }
}

/** Data exceptions, and what functions raise: rows are not as the condition assumes. */
function failsOnRows(error: unknown): boolean {
  return /^(?:22|P0)/.test(codeOf(error) ?? '')
}

function failing(table: TableName, error: unknown): UsageError {
  const reason = reasonOf(error)
  return new UsageError(
    `the condition fails on some row of ${display(table)}: ${reason}`,
    'Write it so that it can be asked of every row.',
    error,
  )
}
