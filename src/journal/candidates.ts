import type { ClientBase } from 'pg'
import { readAll } from '../db/query.ts'
import { SET_COLUMNS } from '../plan/purge/candidate-sql.ts'
import type { CandidateSet } from '../plan/purge/candidate-set.ts'
import { quoted, type TableName } from '../sql/names.ts'
import { ident, raw, sql, type Sql } from '../sql/sql.ts'
import { at } from './journal.ts'

// Candidate sets in the journal: a row for each, and a table of its keys.

/** What the journal knows of a set, without its keys and the current table. */
export type StoredSet = Omit<CandidateSet, 'keyChanged'>

/** Registers a set before its first key, in the transaction that creates its table. */
export async function registerSet(
  session: ClientBase,
  schema: string,
  set: Pick<StoredSet, 'id' | 'table' | 'place' | 'key' | 'leaves' | 'settings' | 'condition'>,
): Promise<void> {
  const { id, table, place, key, leaves, settings, condition } = set
  await session.query(sql`
    insert into ${at(schema, 'candidate_set')} (run_id, schema_name, table_name, set_name, key, leaves, settings, condition)
    values (${id}, ${table.schema}, ${table.name}, ${place.name}, ${JSON.stringify(key)}, ${JSON.stringify(leaves)}, ${JSON.stringify(settings)}, ${condition})`)
}

/** Counts its keys and marks it as complete. */
export async function completeSet(session: ClientBase, schema: string, id: string, place: TableName): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'candidate_set')} set (rows, bytes) = (
      select count(*), coalesce(sum(${ident(SET_COLUMNS.bytes)}), 0) from ${quoted(place)}), written_at = clock_timestamp()
    where run_id = ${id}`)
}

/** Records the approval; null fields are left unchanged. */
export async function approveSet(
  session: ClientBase,
  schema: string,
  id: string,
  { approvedBy, ticket }: Pick<StoredSet, 'approvedBy' | 'ticket'>,
): Promise<void> {
  if (approvedBy === null && ticket === null) return
  await session.query(sql`
    update ${at(schema, 'candidate_set')} set approved_by = coalesce(${approvedBy}, approved_by), ticket = coalesce(${ticket}, ticket),
      approved_at = clock_timestamp()
    where run_id = ${id}`)
}

export async function setById(session: ClientBase, schema: string, id: string): Promise<StoredSet | undefined> {
  return (await findSets(session, schema, sql`run_id = ${id}`))[0]
}

/** All sets that have not been dropped, latest first. */
export async function allSets(session: ClientBase, schema: string): Promise<StoredSet[]> {
  return findSets(session, schema, sql`true`)
}

// A plan may read a journal that no run of this version has migrated yet.
const SETTINGS = raw(
  `coalesce(to_jsonb(s) -> 'settings', jsonb_build_object('search_path', to_jsonb(s) ->> 'search_path'))`,
)

async function findSets(session: ClientBase, schema: string, condition: Sql): Promise<StoredSet[]> {
  return readAll<StoredSet>(
    session,
    sql`
    select run_id::text as id, json_build_object('schema', schema_name, 'name', table_name) as table,
      json_build_object('schema', ${schema}::text, 'name', set_name) as place, key, leaves, ${SETTINGS} as settings, condition,
      rows::float8 as rows, bytes::float8 as bytes, written_at as "writtenAt", approved_by as "approvedBy", ticket
    from ${at(schema, 'candidate_set')} s where ${condition} order by run_id desc`,
  )
}
