import type { ClientBase } from 'pg'
import { within } from '../../db/savepoint.ts'
import { putSession } from '../../db/settings.ts'
import { SQLSTATE } from '../../db/sqlstate.ts'
import { quoted, sameName, type TableName } from '../../sql/names.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'
import { IS_KEY_ONTO, OID, readForeignKeys, type ColumnPair } from './foreign-key.ts'

/** A valid foreign key, and what is known of rows that refer to rows which a copy would leave out. */
export interface LeftOutReference {
  /** Holds the foreign key; may be the table that is copied. */
  readonly from: TableName
  readonly name: string
  /** A row for each that refers to one left out; names are qualified, but for those in the condition. */
  readonly query: string
  /** `unknown` where it could not be told in time. */
  readonly found: 'some' | 'none' | 'unknown'
}

/** What is copied: rows of `source` for which `keep` is true, read under `settings`. */
export interface Keeping {
  readonly source: TableName
  readonly keep: string
  readonly settings: ConditionSettings
}

/** For each foreign key. It is asked again, without a limit, before the swap. */
const LONGEST_MS = 4_000

/**
 * Looks for rows that would refer to nothing once the copy takes over: their
 * foreign keys could not be validated any more. In a READ ONLY transaction.
 */
export async function readLeftOutReferences(session: ClientBase, keeping: Keeping): Promise<LeftOutReference[]> {
  const found: LeftOutReference[] = []
  for (const key of await readReferring(session, keeping))
    found.push({ ...key, found: await look(session, key.query, keeping.settings) })
  return found
}

/** The same without looking. */
export async function readReferring(session: ClientBase, keeping: Keeping): Promise<Omit<LeftOutReference, 'found'>[]> {
  const valid = `${IS_KEY_ONTO(OID(keeping.source))} and k.convalidated`
  const keys = await readForeignKeys<Key>(session, ['name', 'table', 'pairs'], valid)
  return keys.map((key) => ({ from: key.table, name: key.name, query: referring(key, keeping).text }))
}

interface Key {
  readonly name: string
  readonly table: TableName
  readonly pairs: readonly ColumnPair[]
}

// The condition names columns of the copied table alone, so nothing else stands beside it where it is read.
function referring({ table: from, pairs }: Key, { source, keep }: Keeping): Sql {
  const columns = pairs.map(({ referred }, position) => sql`t.${ident(referred)} as ${ident(`ebb_${position}`)}`)
  const equal = pairs.map(
    ({ referring, operator, collation }, position) =>
      sql`p.${ident(`ebb_${position}`)} ${raw(operator)} c.${ident(referring)}${raw(collation === null ? '' : ` collate ${collation}`)}`,
  )
  const table = quoted(source)
  const children = sameName(from, source) ? sql`(select * from ${table} t where (${raw(keep)}\n))` : quoted(from)
  return sql`select from ${children} c, (select ${join(columns)} from ${table} t where (${raw(keep)}\n) is not true) p where ${join(equal, ' and ')}`
}

// What the role may not read is an objection elsewhere.
async function look(
  session: ClientBase,
  query: string,
  settings: ConditionSettings,
): Promise<LeftOutReference['found']> {
  const ask = async () => {
    await putSession(session, settings)
    const { rowCount } = await session.query(`${query} limit 1`)
    return rowCount === 0 ? 'none' : 'some'
  }
  return within(session, LONGEST_MS, ask, [SQLSTATE.insufficientPrivilege])
}
