import type { ClientBase } from 'pg'
import { readAll } from '../db/query.ts'
import type { SetPolicy } from '../plan/language/policy.ts'
import { fromStored, toStored } from '../plan/language/stored.ts'
import type { TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { at } from './journal.ts'
import { EXISTS, KEY_COLUMN, oidOf, RENAMED_TO } from './renamed.ts'

/** A partitioned table managed by rotate. */
export interface RegisteredSet {
  readonly table: TableName
  readonly policy: SetPolicy
  /** False where no relation of that name exists any more. */
  readonly exists: boolean
  /** The name that the table has now; null where it has this one, or was dropped. */
  readonly renamedTo: TableName | null
  /** When it was last rotated without a failure. */
  readonly rotatedAt: Date | null
}

/** Registers the policy of a table, replacing an earlier one, also one under the name that it had before. */
export async function registerSet(
  session: ClientBase,
  schema: string,
  table: TableName,
  policy: SetPolicy,
  runId: string | null,
): Promise<void> {
  const oid = oidOf(table)
  await session.query(sql`
    with former as (
      delete from ${at(schema, 'partition_set')} s where s.relid = ${oid} and (schema_name, table_name) <> (${table.schema}, ${table.name}))
    insert into ${at(schema, 'partition_set')} (schema_name, table_name, relid, policy, run_id)
    values (${table.schema}, ${table.name}, ${oid}, ${JSON.stringify(toStored(policy))}, ${runId})
    on conflict (schema_name, table_name) do update
    set policy = excluded.policy, relid = excluded.relid, run_id = coalesce(excluded.run_id, partition_set.run_id)`)
}

/** Unregisters a table: it is a plain one again, or is to be rotated no more. */
export async function forgetSet(session: ClientBase, schema: string, table: TableName): Promise<void> {
  await session.query(
    sql`delete from ${at(schema, 'partition_set')} where schema_name = ${table.schema} and table_name = ${table.name}`,
  )
}

/** Unregisters a table that does not exist, under no other name either; whether it did. */
export async function forgetMissing(session: ClientBase, schema: string, table: TableName): Promise<boolean> {
  const { rowCount } = await session.query(sql`
    delete from ${at(schema, 'partition_set')} s
    where s.schema_name = ${table.schema} and s.table_name = ${table.name} and not ${EXISTS} and ${RENAMED_TO} is null`)
  return rowCount === 1
}

/** Records that a set has been rotated. */
export async function recordRotated(session: ClientBase, schema: string, table: TableName): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'partition_set')} set rotated_at = clock_timestamp(), relid = ${oidOf(table)}
    where schema_name = ${table.schema} and table_name = ${table.name}`)
}

/** All sets, or the one of a table; with the name that the key has now. */
export async function registeredSets(session: ClientBase, schema: string, table?: TableName): Promise<RegisteredSet[]> {
  const condition = table === undefined ? sql`true` : sql`schema_name = ${table.schema} and table_name = ${table.name}`
  // `rotated_at` is not there yet in a journal that is only looked at, and was made by an earlier version.
  const rows = await readAll<RegisteredSet & { readonly column: string | null }>(
    session,
    sql`
    select json_build_object('schema', schema_name, 'name', table_name) as table, policy, ${KEY_COLUMN} as column,
      ${EXISTS} as exists, ${RENAMED_TO} as "renamedTo",
      (to_jsonb(s) ->> 'rotated_at')::timestamptz as "rotatedAt"
    from ${at(schema, 'partition_set')} s where ${condition} order by schema_name, table_name`,
  )
  return rows.map(({ column, ...row }) => {
    const policy = fromStored(row.policy)
    return { ...row, policy: column === null ? policy : { ...policy, column } }
  })
}
