import { readOne } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { ident, join, literal, raw, sql, type Sql } from '../../sql/sql.ts'
import { explained } from '../explain.ts'
import { IS_KEY_ONTO } from '../references/foreign-key.ts'
import type { Partition, PartitionedTable, SetKey } from './partitioned-table.ts'
import { lookWithin } from './rows.ts'

// The rows in a DEFAULT partition: how many belong to a partition that is about to be made, and what they meet on their
// way out of it.

/** A DEFAULT partition that matters: it is not empty, or a CHECK has been left on it. */
export interface DefaultPartition {
  readonly partition: Partition
  /** Without indexes: so much is read where nothing excludes a range. */
  readonly heapBytes: number
  readonly exits: Exits
  /** Whether an interrupted rotation has left its CHECK. */
  readonly hasCheck: boolean
  /** Its least and greatest key, as text; null where it has none, or none was found in time. */
  readonly ends: { readonly least: string; readonly greatest: string } | null
  /** For each range that was asked about. */
  readonly belonging: readonly Belonging[]
}

/** What stands in the way of rows that are moved out of it, and what they would set off. */
export interface Exits {
  /** All columns that are stored as they are given. */
  readonly columns: readonly string[]
  /** Triggers of others that fire where rows are deleted. */
  readonly triggers: readonly { readonly name: string; readonly enabled: 'origin' | 'always' | 'replica' }[]
  /** Foreign keys of other tables onto it. */
  readonly keysOnto: readonly string[]
  readonly rules: readonly string[]
  /** Columns that another expression generates than in the table itself. */
  readonly generatedOtherwise: readonly string[]
}

/**
 * How many rows of a range are in it, counted up to a limit; `excluded` where a CHECK says there are none, so that
 * PostgreSQL does not look either; `unknown` where they could not be counted in time.
 */
export type Belonging = number | 'excluded' | 'unknown'

/** A range of the key, as text. */
export interface TextRange {
  readonly from: string
  readonly to: string
}

/** By which a rotation excludes ranges from a large one. */
export const EXCLUSION = 'ebb_excluded'

/** @param most how far rows are counted */
export async function readDefaultPartition(
  session: Session,
  partition: Partition,
  key: SetKey,
  ranges: readonly TextRange[],
  most: number,
  journalSchema: string,
  left: () => number,
): Promise<DefaultPartition> {
  return {
    partition,
    heapBytes: await readHeapBytes(session, partition),
    hasCheck: await hasExclusion(session, partition),
    exits: await readExits(session, partition.oid, journalSchema),
    belonging: await readBelonging(session, partition.name, key, ranges, most, left),
    ends: await readEnds(session, partition.name, key.column, left),
  }
}

async function readHeapBytes(session: Session, { oid }: Partition): Promise<number> {
  const { bytes } = await readOne<{ bytes: number }>(
    session,
    sql`
    select coalesce(sum(pg_relation_size(l.relid)), 0)::float8 as bytes
    from (select ${oid}::oid as relid union select relid from pg_partition_tree(${oid}::oid)) l join pg_class c on c.oid = l.relid and c.relkind = 'r'`,
  )
  return bytes
}

/** Whether an interrupted rotation has left its CHECK. */
export async function hasExclusion(session: Session, { oid }: Pick<Partition, 'oid'>): Promise<boolean> {
  const { there } = await readOne<{ there: boolean }>(
    session,
    sql`select exists (select from pg_constraint where conrelid = ${oid}::oid and conname = ${EXCLUSION}) as there`,
  )
  return there
}

/** Capture triggers of Ebb, whose functions are in the journal's schema, have to fire. */
export function readExits(session: Session, oid: string, journalSchema: string): Promise<Exits> {
  return readOne<Exits>(
    session,
    sql`
    select array(select a.attname::text from pg_attribute a where a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum) as columns,
      coalesce((select json_agg(json_build_object('name', t.tgname, 'enabled', case t.tgenabled when 'O' then 'origin' when 'A' then 'always' else 'replica' end) order by t.tgname)
        from pg_trigger t join pg_proc f on f.oid = t.tgfoid join pg_namespace n on n.oid = f.pronamespace
        where t.tgrelid = p.oid and not t.tgisinternal and t.tgtype & 8 <> 0 and t.tgenabled <> 'D' and n.nspname <> ${journalSchema}), '[]') as triggers,
      array(select format('%s of %s', x.conname, x.conrelid::regclass) from pg_constraint x where ${raw(IS_KEY_ONTO('p.oid', 'x'))} order by 1) as "keysOnto",
      array(select r.rulename::text from pg_rewrite r where r.ev_class = p.oid and r.ev_type = '4' order by 1) as rules,
      array(select a.attname::text from pg_attribute a join pg_inherits h on h.inhrelid = a.attrelid
          join pg_attribute b on b.attrelid = h.inhparent and b.attname = a.attname and not b.attisdropped
          join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum left join pg_attrdef e on e.adrelid = b.attrelid and e.adnum = b.attnum
        where a.attrelid = p.oid and a.attgenerated <> ''
          and (a.attgenerated <> b.attgenerated or pg_get_expr(d.adbin, d.adrelid) is distinct from pg_get_expr(e.adbin, e.adrelid))
        order by 1) as "generatedOtherwise"
    from pg_class p where p.oid = ${oid}::oid`,
  )
}

/** In the range, with the bounds as the column's type has them. */
export function inRange({ column, type }: Pick<SetKey, 'column' | 'type'>, { from, to }: TextRange): Sql {
  const value = (text: string) => sql`${literal(text)}::${raw(type)}`
  return sql`${ident(column)} >= ${value(from)} and ${ident(column)} < ${value(to)}`
}

/** All ranges are asked about at once first: mostly there is nothing in any of them. */
async function readBelonging(
  session: Session,
  name: TableName,
  key: SetKey,
  ranges: readonly TextRange[],
  most: number,
  left: () => number,
): Promise<Belonging[]> {
  const [first, last] = [ranges[0], ranges.at(-1)]
  if (first === undefined || last === undefined) return []
  const whole = await countIn(session, name, inRange(key, { from: first.from, to: last.to }), 1, left)
  if (whole === 0 || whole === 'excluded') return ranges.map(() => whole)
  const counts: Belonging[] = []
  for (const range of ranges) counts.push(await countIn(session, name, inRange(key, range), most, left))
  return counts
}

/** How many rows of a DEFAULT partition meet a condition on the key, counted up to `most`. */
export async function countIn(
  session: Session,
  name: TableName,
  condition: Sql,
  most: number,
  left: () => number,
): Promise<Belonging> {
  return lookWithin(session, left(), async () => {
    if (await isExcluded(session, name, condition)) return 'excluded'
    const { rows } = await readOne<{ rows: number }>(
      session,
      sql`select count(*)::int as rows from (select from ${quoted(name)} where ${condition} limit ${most}::int) counted`,
    )
    return rows
  })
}

/** What a DEFAULT partition has to do with a table that is to be attached beside it. */
export interface Beside {
  readonly fallback: TableName
  /** How many rows of its range there are, counted no further than to the first. */
  readonly rows: Belonging
  readonly heapBytes: number
}

/** How long rows are looked for in a large DEFAULT partition: PostgreSQL refuses in the end. */
const LOOKING_MS = 4_000

/** Null where there is no DEFAULT partition, or it is empty. `condition` is true of rows of the range. */
export async function readBeside(
  session: Session,
  { partitions }: Pick<PartitionedTable, 'partitions'>,
  condition: Sql,
): Promise<Beside | null> {
  const fallback = partitions.find(({ isDefault }) => isDefault)
  if (fallback === undefined || fallback.empty || fallback.kind === 'foreign') return null
  const rows = await countIn(session, fallback.name, condition, 1, () => LOOKING_MS)
  return { fallback: fallback.name, rows, heapBytes: await readHeapBytes(session, fallback) }
}

/** The numbers of the ranges, which are in order, in which there is a row; `unknown` where that was not found in time. */
export async function readFilled(
  session: Session,
  name: TableName,
  { column, type }: SetKey,
  ranges: readonly TextRange[],
  milliseconds: number,
): Promise<ReadonlySet<number> | 'unknown'> {
  const starts = ranges.map(({ from }) => sql`${literal(from)}::${raw(type)}`)
  return lookWithin(session, milliseconds, async () => {
    const { found } = await readOne<{ found: number[] }>(
      session,
      sql`select array(select distinct width_bucket(${ident(column)}, array[${join(starts)}]::${raw(type)}[]) - 1
        from ${quoted(name)} where ${ident(column)} is not null) as found`,
    )
    return new Set(found)
  })
}

/** Whether a CHECK proves that it has no such row: PostgreSQL then adds a partition without a look at it. */
async function isExcluded(session: Session, name: TableName, condition: Sql): Promise<boolean> {
  await session.query('set local constraint_exclusion = on')
  const [plan] = await explained(session, sql`select from ${quoted(name)} where ${condition}`)
  return plan?.Plan['One-Time Filter'] === 'false'
}

/** Of its keys; null where it has none, or they were not found in time. */
export async function readEnds(
  session: Session,
  name: TableName,
  column: string,
  left: () => number,
): Promise<DefaultPartition['ends']> {
  const end = (direction: 'asc' | 'desc') =>
    sql`(select ${ident(column)}::text from ${quoted(name)} where ${ident(column)} is not null order by ${ident(column)} ${raw(direction)} limit 1)`
  const found = await lookWithin(session, left(), () =>
    readOne<{ least: string | null; greatest: string | null }>(
      session,
      sql`select ${end('asc')} as least, ${end('desc')} as greatest`,
    ),
  )
  if (found === 'unknown' || found.least === null || found.greatest === null) return null
  return { least: found.least, greatest: found.greatest }
}
