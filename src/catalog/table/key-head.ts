import type { ClientBase } from 'pg'
import { readOne } from '../../db/query.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { ident, sql, type Sql } from '../../sql/sql.ts'

/** How far a column has come by now. */
export interface KeyHead {
  /** The server's clock, microseconds since the epoch. */
  readonly now: string
  /** The greatest value that can be seen, as text; null where there is none, or no index that would tell. */
  readonly newest: string | null
  /** The latest number that the column's sequence has returned, including to transactions that have not committed. */
  readonly handedOut: string | null
}

/** Reads it in one query, which takes a moment: the end of an index, and a sequence. */
export async function readHead(session: ClientBase, table: TableName, column: string): Promise<KeyHead> {
  return readOne<KeyHead>(
    session,
    sql`select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as now, ${newest(table, column)} as newest, ${handedOut(table, column)} as "handedOut"`,
  )
}

// The catalogue is asked first: without an index the rows are not looked at.
function newest(table: TableName, column: string): Sql {
  const key = sql`t.${ident(column)}`
  return sql`case when exists (
      select from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
      join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_am m on m.oid = c.relam
      where i.indrelid = ${quoted(table).text}::regclass and a.attname = ${column} and i.indisvalid and i.indpred is null and m.amname = 'btree')
    then (select ${key}::text from ${quoted(table)} t order by ${key} desc limit 1) end`
}

/** Of the sequences that are the column's own, or that its default draws from; those that this role may look at, and that count upwards. */
function handedOut(table: TableName, column: string): Sql {
  return sql`(
    select max(case when has_sequence_privilege(s.seqrelid, 'usage, select') then pg_sequence_last_value(s.seqrelid) end)::text
    from pg_catalog.pg_attribute a
    left join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
    join pg_catalog.pg_depend d
      on (d.refclassid = 'pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i'))
      or (d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass)
    join pg_catalog.pg_sequence s on s.seqrelid in (d.objid, d.refobjid) and s.seqincrement > 0
    where a.attrelid = ${quoted(table).text}::regclass and a.attname = ${column})`
}
