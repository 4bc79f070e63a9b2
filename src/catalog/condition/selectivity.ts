import { within } from '../../db/savepoint.ts'
import { readAll, readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { putSession } from '../../db/settings.ts'
import { codeOf, reasonOf } from '../../db/sqlstate.ts'
import { UsageError } from '../../errors.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import type { Predicate } from '../../sql/predicate.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { own } from '../../sql/operators.ts'
import { join, literal, raw, sql, type Sql } from '../../sql/sql.ts'
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
  // It is refused, so another server is not asked.
  if (leaves.some(({ kind }) => kind === 'foreign table')) return { selectsSome: null, sparesSome: true }
  const matches = raw(`(${predicate.text}\n)`)
  const selectsSome = await exists(session, table, sql`select from ${quoted(table)} t where ${matches}`, settings)
  // Rows that are to stay are the youngest more often than not, and those are at the end.
  for (const { name, blocks } of leaves.toReversed().slice(0, LAST_LEAVES)) {
    const end = sql`t.ctid ${own('>=')} ${literal(`(${Math.max(0, blocks - LAST_BLOCKS)},0)`)}::pg_catalog.tid`
    const spared = sql`select from only ${quoted(name)} t where ${end} and ${matches} is not true`
    if (await exists(session, table, spared, settings)) return { selectsSome, sparesSome: true }
  }
  const here = await readPlacesHere(session, table)
  if (here.length === 0) return { selectsSome, sparesSome: null }
  const spared = here.map((place) => sql`select from ${place} t where ${matches} is not true`)
  return { selectsSome, sparesSome: await exists(session, table, join(spared, ' union all '), settings) }
}

/** The table, or where some of its partitions are foreign, those that are not. */
async function readPlacesHere(session: Session, table: TableName): Promise<Sql[]> {
  const leaves = await readAll<{ name: TableName; kind: string }>(
    session,
    sql`
    select json_build_object('schema', n.nspname, 'name', c.relname) as name, c.relkind as kind
    from pg_partition_tree(${quoted(table).text}::regclass) t join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
    where t.isleaf and c.relkind in ('r', 'f')`,
  )
  const here = leaves.filter(({ kind }) => kind === 'r')
  return here.length === leaves.length ? [quoted(table)] : here.map(({ name }) => sql`only ${quoted(name)}`)
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
