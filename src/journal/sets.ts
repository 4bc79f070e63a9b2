import type { ClientBase } from 'pg'
import { readAll } from '../db/session.ts'
import type { SetPolicy } from '../plan/language/policy.ts'
import { fromStored, toStored } from '../plan/language/stored.ts'
import type { TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { at } from './journal.ts'

/** A partitioned table managed by rotate. */
export interface RegisteredSet {
  readonly table: TableName
  readonly policy: SetPolicy
}

/** Registers the policy of a table, replacing an earlier one. */
export async function registerSet(
  session: ClientBase,
  schema: string,
  table: TableName,
  policy: SetPolicy,
  runId: string | null,
): Promise<void> {
  await session.query(sql`
    insert into ${at(schema, 'partition_set')} (schema_name, table_name, policy, run_id)
    values (${table.schema}, ${table.name}, ${JSON.stringify(toStored(policy))}, ${runId})
    on conflict (schema_name, table_name) do update set policy = excluded.policy, run_id = coalesce(excluded.run_id, partition_set.run_id)`)
}

/** Unregisters a table that is a plain one again. */
export async function forgetSet(session: ClientBase, schema: string, table: TableName): Promise<void> {
  await session.query(
    sql`delete from ${at(schema, 'partition_set')} where schema_name = ${table.schema} and table_name = ${table.name}`,
  )
}

/** All sets, or the one of a table. */
export async function registeredSets(session: ClientBase, schema: string, table?: TableName): Promise<RegisteredSet[]> {
  const condition = table === undefined ? sql`true` : sql`schema_name = ${table.schema} and table_name = ${table.name}`
  const rows = await readAll<{ table: TableName; policy: SetPolicy }>(
    session,
    sql`
    select json_build_object('schema', schema_name, 'name', table_name) as table, policy
    from ${at(schema, 'partition_set')} where ${condition} order by schema_name, table_name`,
  )
  return rows.map((row) => ({ table: row.table, policy: fromStored(row.policy) }))
}
