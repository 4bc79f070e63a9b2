import { within } from '../../db/savepoint.ts'
import { readAll, readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { putSession } from '../../db/settings.ts'
import type { ConditionSettings } from '../../sql/condition-settings.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { ident, join, raw, sql, type Sql } from '../../sql/sql.ts'

/** Rows of a table with its partitions. */
export interface Selected {
  readonly table: TableName
  /** What follows `from … t` and selects them; null: all. */
  readonly chosen: string | null
  readonly settings: ConditionSettings
}

/** A byte of lz4 stands for at most this many. */
const MOST_EXPANSION = 255
const WITHIN_MS = 2_000

/**
 * Whether one of the rows has, as CSV, certainly more bytes: by its text, and its bytea, which has two letters for each byte. Their
 * lengths are known without reading them, and asked for only where such values could be. False if that takes too long.
 */
export async function hasWiderRow(
  session: Session,
  { table, chosen, settings }: Selected,
  bytes: number,
): Promise<boolean> {
  const lengths = await readLengths(session, table)
  if (lengths.length === 0 || (await readToastBytes(session, table)) * MOST_EXPANSION * 4 < bytes) return false
  const found = await within(session, WITHIN_MS, async () => {
    await putSession(session, settings)
    return readOne<{ found: boolean }>(
      session,
      sql`select exists (select from (select ${join(lengths, ' + ')} as ebb_bytes from ${quoted(table)} t ${raw(chosen ?? '')}) ebb_w where ebb_bytes > ${raw(String(bytes))}) as found`,
    )
  })
  return found !== 'unknown' && found.found
}

async function readLengths(session: Session, table: TableName): Promise<Sql[]> {
  const columns = await readAll<{ name: string; type: string }>(
    session,
    sql`select attname::text as name, atttypid::regtype::text as type from pg_attribute
    where attrelid = to_regclass(${quoted(table).text}) and attnum > 0 and not attisdropped
      and atttypid in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'bytea'::regtype)`,
  )
  return columns.map(
    ({ name, type }) =>
      sql`coalesce(pg_catalog.octet_length(t.${ident(name)})::bigint * ${raw(type === 'bytea' ? '2' : '1')}, 0)`,
  )
}

/** Of the partition that has the most. */
async function readToastBytes(session: Session, table: TableName): Promise<number> {
  const { bytes } = await readOne<{ bytes: number }>(
    session,
    sql`select coalesce(max(pg_relation_size(nullif(c.reltoastrelid, 0))), 0)::float8 as bytes from pg_class c
    where c.oid = to_regclass(${quoted(table).text}) or c.oid in (select relid from pg_partition_tree(to_regclass(${quoted(table).text})))`,
  )
  return bytes
}
