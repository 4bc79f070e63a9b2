import type { ClientBase } from 'pg'
import { readAll, readOne } from '../db/query.ts'
import { display, type TableName } from '../sql/names.ts'
import { sql } from '../sql/sql.ts'
import { at } from './journal.ts'

// What purges have deleted, batch by batch, and the ranges to be retried.

/** One transaction of a purge. Positions are text: an address, or a JSON array of key values and the address. */
export interface BatchEntry {
  readonly number: number
  readonly pass: 'walk' | 'return'
  readonly leaf: TableName
  readonly after: string | null
  readonly upto: string | null
  readonly rows: number
  readonly locked: number
  readonly held: number
  /** Deleted rows of other tables, by table. */
  readonly counts: Readonly<Record<string, number>>
  /** Rows of other tables that were changed: set to null, say. */
  readonly changed: Readonly<Record<string, number>>
  readonly milliseconds: number
  /** The file of the leaf's rows. */
  readonly file: string | null
}

/**
 * Why rows could not be deleted: they are locked; rows of the same table reference them; a foreign key or a guard
 * refuses.
 */
export type LeftReason = 'locked' | 'behind' | 'refused'

/** A range with rows that could not be deleted at first. */
export interface LeftRange {
  readonly id: string
  readonly leaf: TableName
  readonly after: string | null
  readonly upto: string
  readonly rows: number
  readonly reason: LeftReason
  /** As text, if they were refused. */
  readonly why: string | null
}

/** Records a batch, in its own transaction. */
export async function recordBatch(
  session: ClientBase,
  schema: string,
  runId: string,
  batch: BatchEntry,
): Promise<void> {
  const { number, pass, leaf, after, upto, rows, locked, held, counts, changed, milliseconds, file } = batch
  await session.query(sql`
    insert into ${at(schema, 'purge_batch')} (run_id, number, pass, schema_name, table_name, after, upto, rows, locked, held, counts, changed, milliseconds, file)
    values (${runId}, ${number}, ${pass}, ${leaf.schema}, ${leaf.name}, ${after}, ${upto}, ${rows}, ${locked}, ${held}, ${JSON.stringify(counts)}, ${JSON.stringify(changed)}, ${milliseconds}, ${file})`)
}

/** Records a range to be retried. */
export async function leaveRange(
  session: ClientBase,
  schema: string,
  runId: string,
  { leaf, after, upto, rows, reason, why }: Omit<LeftRange, 'id'>,
): Promise<void> {
  await session.query(sql`
    insert into ${at(schema, 'purge_left')} (run_id, schema_name, table_name, after, upto, rows, reason, why)
    values (${runId}, ${leaf.schema}, ${leaf.name}, ${after}, ${upto}, ${rows}, ${reason}, ${why})`)
}

export async function forgetRange(session: ClientBase, schema: string, { id }: LeftRange): Promise<void> {
  await session.query(sql`delete from ${at(schema, 'purge_left')} where id = ${id}`)
}

/** All ranges of a leaf. */
export async function forgetRangesOf(
  session: ClientBase,
  schema: string,
  runId: string,
  leaf: TableName,
): Promise<void> {
  await session.query(sql`
    delete from ${at(schema, 'purge_left')} where run_id = ${runId} and schema_name = ${leaf.schema} and table_name = ${leaf.name}`)
}

/** All batches and ranges of a run, when they are no longer needed to resume it. */
export async function forgetBatches(session: ClientBase, schema: string, runId: string): Promise<void> {
  await session.query(sql`
    with batches as (delete from ${at(schema, 'purge_batch')} where run_id = ${runId})
    delete from ${at(schema, 'purge_left')} where run_id = ${runId}`)
}

/** The files of the leaves at their last batches, by displayed name. */
export async function lastFiles(session: ClientBase, schema: string, runId: string): Promise<Map<string, string>> {
  const rows = await readAll<TableName & { file: string }>(
    session,
    sql`
    select distinct on (schema_name, table_name) schema_name as schema, table_name as name, file
    from ${at(schema, 'purge_batch')} where run_id = ${runId} and file is not null order by schema_name, table_name, number desc`,
  )
  return new Map(rows.map((row) => [display(row), row.file]))
}

/** In the order in which they were recorded. */
export async function leftRanges(session: ClientBase, schema: string, runId: string): Promise<LeftRange[]> {
  return readAll<LeftRange>(
    session,
    sql`
    select id::text as id, json_build_object('schema', schema_name, 'name', table_name) as leaf, after, upto, rows::float8 as rows, reason, why
    from ${at(schema, 'purge_left')} l where run_id = ${runId} order by l.id`,
  )
}

/** The last batch of the walk, after which it is resumed; undefined if it has not started. */
export async function lastWalked(
  session: ClientBase,
  schema: string,
  runId: string,
): Promise<{ readonly leaf: TableName; readonly upto: string | null } | undefined> {
  const [last] = await readAll<{ leaf: TableName; upto: string | null }>(
    session,
    sql`
    select json_build_object('schema', schema_name, 'name', table_name) as leaf, upto
    from ${at(schema, 'purge_batch')} where run_id = ${runId} and pass = 'walk' order by number desc limit 1`,
  )
  return last
}

/** The displayed names of the tables with deleted or changed rows. */
export async function purgedTables(session: ClientBase, schema: string, runId: string): Promise<ReadonlySet<string>> {
  const own = await readAll<TableName>(
    session,
    sql`select distinct schema_name as schema, table_name as name from ${at(schema, 'purge_batch')} where run_id = ${runId} and rows > 0`,
  )
  const others = await readAll<{ shown: string }>(
    session,
    sql`select distinct k as shown from ${at(schema, 'purge_batch')}, jsonb_object_keys(counts || changed) k where run_id = ${runId}`,
  )
  return new Set([...own.map(display), ...others.map(({ shown }) => shown)])
}

/** Figures of a purge from its batches, those of earlier calls included. */
export interface PurgeFigures {
  readonly batches: number
  /** The number of the last batch; 0 where there is none. */
  readonly lastNumber: number
  /** Rows of the table itself. */
  readonly rows: number
  /** By table, with partitions and referencing tables separately, ordered by name. */
  readonly tables: readonly { readonly table: string; readonly rows: number }[]
  readonly slowestMs: number
  readonly batchMs: number
  readonly held: number
  /** Locked, at the first or a later attempt. */
  readonly passedOver: number
  /** Still locked at the last attempt. */
  readonly locked: number
  /** Rows of other tables that were changed. */
  readonly changed: readonly { readonly table: string; readonly rows: number }[]
  /** Rows of other tables that have gone ahead of rows which are still there. */
  readonly ahead: readonly { readonly table: string; readonly rows: number }[]
  /** Rows that a foreign key or a guard kept from being deleted, by reason. */
  readonly refused: readonly { readonly why: string; readonly rows: number }[]
}

export async function readFigures(session: ClientBase, schema: string, runId: string): Promise<PurgeFigures> {
  return readOne<PurgeFigures>(
    session,
    sql`
    with batch as (select * from ${at(schema, 'purge_batch')} where run_id = ${runId}),
    gone as (
      select quote_ident(schema_name) || '.' || quote_ident(table_name) as "table", rows from batch
      union all select c.key, c.value::bigint from batch, jsonb_each_text(counts) c
    )
    select count(*)::float8 as batches, coalesce(max(number), 0)::float8 as "lastNumber", coalesce(sum(rows), 0)::float8 as rows,
      coalesce((select json_agg(t order by t."table") from (select "table", sum(rows)::float8 as rows from gone group by 1) t), '[]') as tables,
      coalesce(max(milliseconds), 0) as "slowestMs", coalesce(sum(milliseconds), 0) as "batchMs",
      coalesce(sum(held), 0)::float8 as held, coalesce(sum(locked), 0)::float8 as "passedOver",
      (select coalesce(sum(rows), 0)::float8 from ${at(schema, 'purge_left')} where run_id = ${runId} and reason = 'locked') as locked,
      coalesce((select json_agg(t order by t."table") from (
        select c.key as "table", sum(c.value::bigint)::float8 as rows from batch, jsonb_each_text(changed) c group by 1) t), '[]') as changed,
      coalesce((select json_agg(t order by t."table") from (
        select c.key as "table", sum(c.value::bigint)::float8 as rows from batch b, jsonb_each_text(b.counts) c
        where b.rows = 0 and not exists (select from batch g where g.rows > 0 and g.upto = b.upto and (g.schema_name, g.table_name) = (b.schema_name, b.table_name))
        group by 1) t), '[]') as ahead,
      coalesce((select json_agg(t order by t.why) from (
        select why, sum(rows)::float8 as rows from ${at(schema, 'purge_left')} where run_id = ${runId} and reason = 'refused' group by 1) t), '[]') as refused
    from batch`,
  )
}
