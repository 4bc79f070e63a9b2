import { EXPLAIN, explained } from '../explain.ts'
import { takingBack } from '../../db/savepoint.ts'
import type { Session } from '../../db/session.ts'
import { readOne } from '../../db/query.ts'
import { putSession } from '../../db/settings.ts'
import { codeOf, isOfTheMoment, SQLSTATE } from '../../db/sqlstate.ts'
import { EbbError, messageOf, UsageError } from '../../errors.ts'
import { display, quoted, type TableName } from '../../sql/names.ts'
import { pointAt, type Predicate } from '../../sql/predicate.ts'
import { pathOf, type ConditionSettings } from '../../sql/condition-settings.ts'
import { literal, raw, sql, type Sql } from '../../sql/sql.ts'
import { readComputedOtherwise, type ComputedOtherwise } from './computed-otherwise.ts'
import { readConditionSettings } from './condition-settings.ts'

/** What is known of a condition besides the rows that it selects. */
export interface ConditionFacts {
  /** Under which it is read. */
  readonly settings: ConditionSettings
  /** Functions that give another answer each time they are asked. */
  readonly volatile: readonly string[]
  /** Functions of users that are STABLE: they may look at the clock, or at other tables, each time anew. */
  readonly stable: readonly string[]
  /** It may mean other rows in another time zone. */
  readonly timed: boolean
  /** What this role has and Ebb cannot follow, where other rows may be meant by it: `extra_float_digits = 0`. */
  readonly unheeded: readonly string[]
  readonly computedOtherwise: readonly ComputedOtherwise[]
}

/** In the transaction that is open. */
export async function readCondition(
  session: Session,
  table: TableName,
  predicate: Predicate | null,
): Promise<ConditionFacts> {
  const settings = await readConditionSettings(session)
  // What Ebb has made depends on no setting; only code of the user's that runs meanwhile may need the path.
  if (predicate === null || predicate.uses === null)
    return { settings: pathOf(settings), volatile: [], stable: [], timed: false, unheeded: [], computedOtherwise: [] }
  const { functions, columns, types, operators } = predicate.uses
  const facts = await readOne<Omit<ConditionFacts, 'settings' | 'computedOtherwise'>>(
    session,
    sql`
    with called as (select * from pg_proc where proname = any (${functions}::text[])),
      used as (
        select coalesce(e.typcategory, t.typcategory) as category
        from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
        where a.attrelid = to_regclass(${quoted(table).text}) and a.attname = any (${columns}::text[]) and not a.attisdropped
        union all select typcategory from pg_type where typname = any (${types}::text[]))
    select array(select distinct proname::text from called where provolatile = 'v') as volatile,
      array(select distinct proname::text from called c where provolatile = 's' and pronamespace <> 'pg_catalog'::regnamespace
        and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = c.oid and d.deptype = 'e')) as stable,
      exists (select from used where category in (${DATE_TIME}, ${RANGE}, ${COMPOSITE})) or exists (select from called where provolatile = 's') as timed,
      array(select name || ' = ' || reset_val from pg_settings
        where case name
          when 'DateStyle' then reset_val not like 'ISO,%' and ${writesOut(types, operators)}
          when 'extra_float_digits' then reset_val::int < 1 and ${writesOut(types, operators)}
          when 'standard_conforming_strings' then reset_val = 'off' and ${predicate.written.includes('\\')}
          else false end) as unheeded`,
  )
  return { settings, ...facts, computedOtherwise: await readComputedOtherwise(session, table, columns) }
}

const [DATE_TIME, RANGE, COMPOSITE] = ['D', 'R', 'C'].map((category) => literal(category))

/** Whether values become text in it, by a cast, an operator or a function: how they are written out may then decide. */
function writesOut(types: readonly string[], operators: readonly string[]): Sql {
  const becomes = `exists (select from called join pg_type t on t.oid = prorettype where provolatile = 's' and proname <> 'to_char' and typcategory in ('S', 'U'))`
  return sql`(${operators.includes('||')} or exists (select from pg_type where typname = any (${types}::text[]) and typcategory = 'S') or ${raw(becomes)})`
}

/**
 * Rows that a condition (null: none) selects, as the planner believes; nothing
 * is read. The server reads the condition for it, under the given settings.
 *
 * @throws {UsageError} when it does not fit the table
 * @throws {EbbError} when the role may not see all of it
 */
export async function readRowEstimate(
  session: Session,
  table: TableName,
  predicate: Pick<Predicate, 'text' | 'written'> | null,
  settings: ConditionSettings,
): Promise<number> {
  const { written, text } = predicate ?? { written: 'true', text: 'true' }
  // The user's own words first: an error points into them.
  if (written !== text) await estimate(session, table, written, settings)
  return estimate(session, table, text, settings)
}

async function estimate(
  session: Session,
  table: TableName,
  condition: string,
  settings: ConditionSettings,
): Promise<number> {
  const before = sql`select from ${quoted(table)} t where (`
  try {
    return await takingBack(session, async () => {
      await putSession(session, settings)
      const [first] = await explained(session, sql`${before}${raw(condition)}\n)`)
      return first?.Plan['Plan Rows'] ?? 0
    })
  } catch (error) {
    if (isOfTheMoment(error)) throw error
    if (codeOf(error) === SQLSTATE.insufficientPrivilege) throw notToBeSeen(table, error)
    if (codeOf(error)?.startsWith('08') === true) throw otherServerAway(table, error)
    throw new UsageError(
      `the condition does not fit ${display(table)}: ${reasonAndPlace(error, condition, [...(EXPLAIN + before.text)].length)}`,
      'Use columns and types of the table.',
      error,
    )
  }
}

/** With `use_remote_estimate` PostgreSQL asks there, too, when it plans. */
function otherServerAway(table: TableName, error: unknown): EbbError {
  return new EbbError(
    `the condition reaches rows of ${display(table)} on another server: ${messageOf(error)}`,
    {
      state: 'Nothing has been changed.',
      next: 'Exclude them by the condition: they are purged in the database that holds them.',
    },
    'objections',
  )
}

function notToBeSeen(table: TableName, error: unknown): EbbError {
  return new EbbError(
    `this role may not see all of ${display(table)}: ${messageOf(error)}`,
    {
      state: 'Nothing has been changed.',
      next: 'Connect as its owner; where row-level security is forced on the owner, as a role with BYPASSRLS.',
    },
    'objections',
    error,
  )
}

function reasonAndPlace(error: unknown, condition: string, before: number): string {
  const reason = messageOf(error)
  const { position } = error as { position?: string }
  return position === undefined ? reason : reason + pointAt(condition, Number(position) - 1 - before)
}
