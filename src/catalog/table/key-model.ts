import type { ClientBase } from 'pg'
import { within } from '../../db/savepoint.ts'
import { readOne } from '../../db/query.ts'
import { quoted } from '../../sql/names.ts'
import { ident, raw, sql, type Sql } from '../../sql/sql.ts'
import type { TableModel } from './table-model.ts'

/** What is known of a column's values without reading the whole table for long. */
export interface KeyModel {
  readonly column: string
  readonly type: string
  /** Least and greatest value as text; null when the table is empty or nothing is known. */
  readonly min: string | null
  readonly max: string | null
  /** `exact`: read from an index or the rows; `sampled`: from the planner's statistics, so there may be values beyond. */
  readonly range: 'exact' | 'sampled'
  /** Between physical order and value order, -1 to 1; null when never analysed. */
  readonly correlation: number | null
  readonly nullFraction: number | null
  readonly indexed: boolean
}

/** How long a plan may look for the range of a column that has no index. */
const RANGE_SCAN_MS = 5_000

/** The types that can be a key, with their PostgreSQL names. */
const KEY_TYPES: readonly string[] = [
  'timestamp with time zone',
  'timestamp without time zone',
  'date',
  'bigint',
  'integer',
  'uuid',
]

/** Whether the type, with or without a precision (`timestamp(3) with time zone`), can be a key. */
export function isKeyType(type: string): boolean {
  return KEY_TYPES.includes(plainType(type))
}

/** The type without its precision. */
export function plainType(type: string): string {
  return type.replace(/\(\d+\)/, '')
}

/** Reads what is known of one column of a table. */
export async function readKey(client: ClientBase, table: TableModel, column: string): Promise<KeyModel> {
  const type = table.columns.find(({ name }) => name === column)?.type ?? ''
  const indexed = table.indexes.some(
    (index) => index.valid && !index.partial && index.method === 'btree' && index.columns[0] === column,
  )
  const statistics = await readStatistics(client, table, column)
  const exact = await readRange(client, table, column, indexed)
  const { min, max } = exact === 'unknown' ? statistics : exact
  const range = exact === 'unknown' ? 'sampled' : 'exact'
  const { correlation, nullFraction } = statistics
  return { column, type, min, max, range, correlation, nullFraction, indexed }
}

interface Range {
  readonly min: string | null
  readonly max: string | null
}

interface ColumnStatistics extends Range {
  readonly correlation: number | null
  readonly nullFraction: number | null
}

async function readStatistics(client: ClientBase, table: TableModel, column: string): Promise<ColumnStatistics> {
  const { rows } = await client.query<ColumnStatistics>(sql`
    select correlation::float8 as correlation, null_frac::float8 as "nullFraction",
      bounds[1] as min, bounds[cardinality(bounds)] as max
    from pg_stats, lateral (select histogram_bounds::text::text[] as bounds) b
    where schemaname = ${table.name.schema} and tablename = ${table.name.name} and attname = ${column} and not inherited`)
  return rows[0] ?? { correlation: null, nullFraction: null, min: null, max: null }
}

// `order by … limit 1` rather than min() and max(): those do not exist for uuid before 18.
async function readRange(
  client: ClientBase,
  table: TableModel,
  column: string,
  indexed: boolean,
): Promise<Range | 'unknown'> {
  // Qualified: a bare name in `order by` would mean the output column, which is text, and '9' comes after '10' there.
  const key = sql`t.${ident(column)}`
  const end = (direction: string): Sql =>
    sql`(select ${key}::text from ${quoted(table.name)} t where ${key} is not null order by ${key} ${raw(direction)} limit 1)`
  return within(client, indexed ? RANGE_SCAN_MS * 4 : RANGE_SCAN_MS, () =>
    readOne<Range>(client, sql`select ${end('asc')} as min, ${end('desc')} as max`),
  )
}

/** Pairs of an id and the time beside it, evenly spread over the ids, in id order. */
export interface IdSample {
  readonly id: string
  readonly at: string
}

/** How many places of the id range are looked at. Each is one descent of the primary key. */
const SAMPLES = 24

/**
 * Looks at `time` in evenly spaced places of an indexed integer `id`: the
 * evidence for "the id grows with time", and the rate at which it grows.
 */
export async function sampleIds(client: ClientBase, table: TableModel, id: string, time: string): Promise<IdSample[]> {
  // Qualified: where the table has a column called `low` or `place`, a bare name would mean that.
  const key = sql`t.${ident(id)}`
  const rows = sql`${quoted(table.name)} t`
  const { rows: samples } = await client.query<IdSample>(sql`
    with ends as (select (select ${key} from ${rows} order by ${key} limit 1)::numeric as low,
                         (select ${key} from ${rows} order by ${key} desc limit 1)::numeric as high)
    select s.id::text as id, (extract(epoch from s.at) * 1000000)::bigint::text as at
    from ends e, generate_series(0, ${SAMPLES}) p (place),
      lateral (select ${key} as id, t.${ident(time)} as at from ${rows}
               where ${key} >= trunc(e.low + (e.high - e.low) * p.place / ${SAMPLES})::bigint order by ${key} limit 1) s
    where isfinite(s.at) order by s.id`)
  return samples
}
