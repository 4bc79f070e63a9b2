import type { ClientBase } from 'pg'
import { readAll } from '../db/query.ts'
import { fromStored, toStored } from '../plan/language/stored.ts'
import type { TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { at, hasTable } from './journal.ts'
import { oidOf, RENAMED_TO } from './renamed.ts'

/** What the policy of a table has said since it was last changed. */
export interface PolicyInForce<Terms> {
  readonly table: TableName
  /** The name that the table has now; null where it has this one, or was dropped. */
  readonly renamedTo: TableName | null
  readonly terms: Terms
  /** Codes of the weaker terms that were accepted with it. */
  readonly accepted: readonly string[]
  readonly since: Date
  readonly recordedBy: string
}

/** Records what a policy says from now on. */
export async function recordPolicy(
  session: ClientBase,
  schema: string,
  table: TableName,
  terms: unknown,
  accepted: readonly string[],
): Promise<void> {
  await session.query(sql`
    insert into ${at(schema, 'policy')} (schema_name, table_name, relid, terms, accepted)
    values (${table.schema}, ${table.name}, ${oidOf(table)}, ${JSON.stringify(toStored(terms))}, ${accepted}::text[])`)
}

/** The policies in force, of one table or all. A journal of an earlier version has none. */
export async function policiesInForce<Terms>(
  session: ClientBase,
  schema: string,
  table?: TableName,
): Promise<PolicyInForce<Terms>[]> {
  if (!(await hasTable(session, schema, 'policy'))) return []
  const ofTable = table === undefined ? sql`true` : sql`schema_name = ${table.schema} and table_name = ${table.name}`
  const found = await readAll<PolicyInForce<Terms>>(
    session,
    sql`
    select distinct on (schema_name, table_name) json_build_object('schema', schema_name, 'name', table_name) as table,
      ${RENAMED_TO} as "renamedTo", terms, accepted, since, recorded_by as "recordedBy"
    from ${at(schema, 'policy')} s where ${ofTable} order by schema_name, table_name, id desc`,
  )
  return found.map((policy) => ({ ...policy, terms: fromStored(policy.terms) }))
}
