import type { ClientBase } from 'pg'
import { readAll } from '../db/query.ts'
import type { TableName } from '../sql/names.ts'
import { sql, type Sql } from '../sql/sql.ts'
import { at } from './journal.ts'

// Archives in the journal: the intention before the first object, the receipt, and what was removed because of it.
// Without a receipt, an entry names what an interrupted archive has left in its store.

/** An archive that is about to be written. */
export interface NewArchive {
  readonly id: string
  readonly runId: string | null
  readonly command: string
  /** The table that the command is on. */
  readonly table: TableName
  /** The relation whose rows are archived. */
  readonly relation: { readonly oid: string; readonly name: TableName }
  /** Its URI, without credentials. */
  readonly store: string
  /** See `readSeal`; null where nobody asks. */
  readonly seal: string | null
}

export interface ArchiveEntry extends NewArchive {
  readonly begunAt: Date
  /** Null until it is written. */
  readonly receipt: ReceiptEntry | null
  /** What the removal document says; null until rows have been removed. */
  readonly removal: unknown
  /** Whether the removal document has been stored. */
  readonly removalWritten: boolean
}

export interface ReceiptEntry {
  readonly uri: string
  /** Of the stored receipt. */
  readonly sha256: string
  readonly rows: number
  /** As stored. */
  readonly bytes: number
}

/** Before the first object. */
export async function beginArchive(session: ClientBase, schema: string, archive: NewArchive): Promise<void> {
  const { id, runId, command, table, relation, store, seal } = archive
  await session.query(sql`
    insert into ${at(schema, 'archive')}
      (id, run_id, command, schema_name, table_name, relation_oid, relation_schema, relation_name, store, seal)
    values (${id}, ${runId}, ${command}, ${table.schema}, ${table.name}, ${relation.oid}, ${relation.name.schema},
      ${relation.name.name}, ${store}, ${seal})`)
}

/** When its receipt is in the store. */
export async function recordReceipt(
  session: ClientBase,
  schema: string,
  id: string,
  { uri, sha256, rows, bytes }: ReceiptEntry,
): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'archive')} set receipt_uri = ${uri}, receipt_sha256 = ${sha256}, rows = ${rows}, bytes = ${bytes},
      receipt_at = clock_timestamp()
    where id = ${id}`)
}

/** In the transaction that removes its rows, or the last of them. */
export async function recordRemoval(session: ClientBase, schema: string, id: string, removal: object): Promise<void> {
  await session.query(sql`
    update ${at(schema, 'archive')} set removal = ${JSON.stringify(removal)}::jsonb where id = ${id}`)
}

/** The removal document is in the store. */
export async function recordRemovalWritten(session: ClientBase, schema: string, id: string): Promise<void> {
  await session.query(sql`update ${at(schema, 'archive')} set removal_at = clock_timestamp() where id = ${id}`)
}

/** What an interrupted one has left has been removed. */
export async function forgetArchive(session: ClientBase, schema: string, id: string): Promise<void> {
  await session.query(sql`delete from ${at(schema, 'archive')} where id = ${id} and receipt_uri is null`)
}

/** Archives of a command on a table that have no receipt; oldest first. */
export function unfinishedArchives(
  session: ClientBase,
  schema: string,
  table: TableName,
  command: string,
): Promise<ArchiveEntry[]> {
  return findArchives(session, schema, sql`${of(table)} and command = ${command} and receipt_uri is null`)
}

/** Those whose rows have been removed, and whose removal document is not stored yet. */
export function untoldRemovals(
  session: ClientBase,
  schema: string,
  table: TableName,
  command: string,
): Promise<ArchiveEntry[]> {
  return findArchives(
    session,
    schema,
    sql`${of(table)} and command = ${command} and removal is not null and removal_at is null`,
  )
}

/** Of all rows of a relation, with a receipt, whose rows have not been removed; latest first. */
export async function archivesOfRelation(session: ClientBase, schema: string, oid: string): Promise<ArchiveEntry[]> {
  const found = await findArchives(
    session,
    schema,
    sql`relation_oid = ${oid} and seal is not null and receipt_uri is not null and removal is null`,
  )
  return found.reverse()
}

/** The archives of a run, oldest first. */
export function archivesOfRun(session: ClientBase, schema: string, runId: string): Promise<ArchiveEntry[]> {
  return findIfKnown(session, schema, sql`run_id = ${runId}`)
}

/** SHA-256 of the receipt of an archive, as it was when it was written; null if it is not known here. */
export async function recordedDigest(session: ClientBase, schema: string, id: string): Promise<string | null> {
  if (!(await archivesKnown(session, schema))) return null
  const [found] = await readAll<{ sha256: string | null }>(
    session,
    sql`select receipt_sha256 as sha256 from ${at(schema, 'archive')} where id = ${id}`,
  )
  return found?.sha256 ?? null
}

/** What waits for another run of its command: objects without a receipt, or a removal document. */
export async function archivesInProgress(session: ClientBase, schema: string): Promise<ArchiveEntry[]> {
  return findIfKnown(session, schema, sql`receipt_uri is null or removal is not null and removal_at is null`)
}

async function findIfKnown(session: ClientBase, schema: string, condition: Sql): Promise<ArchiveEntry[]> {
  return (await archivesKnown(session, schema)) ? findArchives(session, schema, condition) : []
}

/** A journal that an earlier version has migrated last has no archives. */
async function archivesKnown(session: ClientBase, schema: string): Promise<boolean> {
  const known = await readAll(
    session,
    sql`select from pg_tables where schemaname = ${schema} and tablename = 'archive'`,
  )
  return known.length > 0
}

function of({ schema, name }: TableName): Sql {
  return sql`schema_name = ${schema} and table_name = ${name}`
}

function findArchives(session: ClientBase, schema: string, condition: Sql): Promise<ArchiveEntry[]> {
  return readAll<ArchiveEntry>(
    session,
    sql`
    select id, run_id::text as "runId", command, json_build_object('schema', schema_name, 'name', table_name) as table,
      json_build_object('oid', relation_oid::text, 'name', json_build_object('schema', relation_schema, 'name', relation_name)) as relation,
      store, seal, begun_at as "begunAt", removal, removal_at is not null as "removalWritten",
      case when receipt_uri is not null then
        json_build_object('uri', receipt_uri, 'sha256', receipt_sha256, 'rows', rows, 'bytes', bytes) end as receipt
    from ${at(schema, 'archive')} where ${condition} order by begun_at, id`,
  )
}
