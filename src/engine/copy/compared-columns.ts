import { readAllPrepared, readOnePrepared } from '../../db/query.ts'
import type { Session } from '../../db/session.ts'
import type { ComparedColumn } from '../../plan/copy/comparison.ts'
import type { CopyKey } from '../../plan/copy/key.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'

/**
 * The stored columns of a table, without virtual generated ones. A type has a binary format if all its components
 * have one: elements, attributes, bounds, and the base type of a domain.
 */
export function comparedColumns(session: Session, table: TableName): Promise<ComparedColumn[]> {
  return readAllPrepared<ComparedColumn>(
    session,
    sql`
    select a.attname::text as name, not exists (
        with recursive part (oid) as (
          select a.atttypid
          union
          select p.oid from part join pg_type t on t.oid = part.oid cross join lateral (
            select t.typbasetype where t.typtype = 'd'
            union all select t.typelem where t.typelem <> 0
            union all select r.rngsubtype from pg_range r where t.oid in (r.rngtypid, r.rngmultitypid)
            union all select c.atttypid from pg_attribute c where t.typtype = 'c' and c.attrelid = t.typrelid and c.attnum > 0 and not c.attisdropped) p (oid))
        select from part join pg_type t on t.oid = part.oid where t.typsend = 0) as binary
    from pg_attribute a
    where a.attrelid = ${quoted(table).text}::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v'
    order by a.attnum`,
  )
}

/**
 * Whether there is a unique index on columns of the key only. A table partitioned by another column, which is then
 * part of its primary key, need not have one.
 */
export async function hasUniqueKey(session: Session, table: TableName, { columns }: CopyKey): Promise<boolean> {
  const { unique } = await readOnePrepared<{ unique: boolean }>(
    session,
    sql`
    select exists (
      select from pg_index i
      where i.indrelid = ${quoted(table).text}::regclass and i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null
        and not exists (
          select from generate_series(0, i.indnkeyatts - 1) n left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[n]
          where a.attname is null or a.attname <> all (${columns.map(({ name }) => name)}::text[]))) as unique`,
  )
  return unique
}
