import type { ClientBase } from 'pg'
import { within } from '../../db/savepoint.ts'
import { readOne } from '../../db/query.ts'
import { SQLSTATE } from '../../db/sqlstate.ts'
import { fromText, type KeyKind, type Position } from '../../grid/key.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { ident, raw, sql } from '../../sql/sql.ts'
import type { Partition, SetColumn } from './partitioned-table.ts'

// Looking into partitions for the few values that a rotation depends on. By an
// index in no time; without one by reading a partition, which is why callers
// say how long that may take.

/** The row with the greatest key, as far as `expireBy` is asked for with its time. */
export interface GreatestRow {
  readonly key: string
  readonly time: string | null
}

/** The row with the greatest key in one partition; undefined where there is none. */
export async function readGreatest(
  client: ClientBase,
  partition: TableName,
  column: string,
  expireBy: string | null,
): Promise<GreatestRow | undefined> {
  const time = expireBy === null ? raw('null') : sql`${ident(expireBy)}::text`
  // Not max(): that does not exist for uuid before 18.
  const { rows } = await client.query<GreatestRow>(sql`
    select ${ident(column)}::text as key, ${time} as time from ${quoted(partition)}
    where ${ident(column)} is not null order by ${ident(column)} desc limit 1`)
  return rows[0]
}

/** The least key in one partition among the rows for which `condition` holds; undefined where there are none. */
export async function readLeast(
  client: ClientBase,
  partition: TableName,
  column: string,
  condition: string,
): Promise<string | undefined> {
  // Not min(): that does not exist for uuid before 18.
  const { rows } = await client.query<{ key: string }>(sql`
    select t.${ident(column)}::text as key from ${quoted(partition)} t
    where ${raw(condition)} order by t.${ident(column)} limit 1`)
  return rows[0]?.key
}

/** The row with the smallest key that is not below `key`, in a whole set. */
export async function readAtLeast(
  client: ClientBase,
  table: TableName,
  column: string,
  key: Position,
  expireBy: string,
): Promise<GreatestRow | undefined> {
  const { rows } = await client.query<GreatestRow>(sql`
    select ${ident(column)}::text as key, ${ident(expireBy)}::text as time from ${quoted(table)}
    where ${ident(column)} >= ${key.toString()}::bigint order by ${ident(column)} limit 1`)
  return rows[0]
}

/**
 * The newest time in a partition: `empty` without rows, `never` where a row has
 * no time, or one that lies beyond the calendar such as `infinity`.
 */
export async function readNewest(
  client: ClientBase,
  partition: TableName,
  column: SetColumn,
  kind: KeyKind,
): Promise<Position | 'empty' | 'never'> {
  const place = quoted(partition)
  const undated = column.notNull
    ? raw('false')
    : sql`exists (select 1 from ${place} where ${ident(column.name)} is null)`
  const row = await readOne<{ newest: string | null; undated: boolean }>(
    client,
    sql`select (select max(${ident(column.name)})::text from ${place}) as newest, ${undated} as undated`,
  )
  if (row.undated || row.newest === 'infinity') return 'never'
  if (row.newest === null) return 'empty'
  return row.newest === '-infinity' || row.newest.endsWith(' BC')
    ? fromText(kind, LONG_AGO[kind] ?? '')
    : later(kind, row.newest)
}

// Older than any horizon.
const LONG_AGO: Readonly<Partial<Record<KeyKind, string>>> = {
  timestamptz: '0001-01-01 00:00:00+00',
  timestamp: '0001-01-01 00:00:00',
  date: '0001-01-01',
}

function later(kind: KeyKind, text: string): Position | 'never' {
  return /^\d{5,}-/.test(text) ? 'never' : fromText(kind, text)
}

/**
 * Asks of rows for so many milliseconds at most. Forced row-level security hides rows even from their
 * owner, which is an error, and we would rather know nothing than too little.
 */
export function lookWithin<T>(client: ClientBase, milliseconds: number, ask: () => Promise<T>): Promise<T | 'unknown'> {
  return within(client, milliseconds, ask, [SQLSTATE.insufficientPrivilege])
}

/** Partitions in which rows can be looked for here: neither foreign, nor half detached, nor known to be empty. */
export function isReadable({ kind, detachPending, empty }: Partition): boolean {
  return kind !== 'foreign' && !detachPending && !empty
}
