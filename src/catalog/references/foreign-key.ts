import type { ClientBase } from 'pg'
import { readOne } from '../../db/query.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { literal, raw, sql } from '../../sql/sql.ts'
import {
  COLUMN_NAMES,
  COMMENT,
  DEPENDING_ON,
  ESTIMATED_ROWS,
  LIST,
  RELATION_KIND,
  RELATION_NAME,
} from '../table/json-parts.ts'

// The one reader of foreign keys: which rows of pg_constraint are some, and what is told of them. For each partition of
// either table PostgreSQL keeps constraints of its own, which cannot be added, dropped or renamed by themselves. `k` is a row.

/** A foreign key of this table; not what has been made of it for the partitions of the table that it points at. */
export const IS_KEY_OF = (table: string, k = 'k') =>
  `${k}.contype = 'f' and ${k}.conrelid = ${table} and ${IS_NO_CLONE(k)}`

/** A foreign key onto this table; not what has been made of it for the partitions of the table that has it. */
export const IS_KEY_ONTO = (table: string, k = 'k') => `${REFERS_TO(table, k)} and ${k}.conparentid = 0`

/** The same with those. */
export const REFERS_TO = (table: string, k: string) =>
  `${k}.contype = 'f' and ${k}.confrelid = ${table} and ${k}.oid = any (${DEPENDING_ON(table, 'pg_constraint')})`

/** A partition has the constraints of its parent, as its own; what a table has twice is for partitions of another. */
export const IS_NO_CLONE = (k: string) =>
  `not exists (select from pg_constraint u where u.oid = ${k}.conparentid and u.conrelid = ${k}.conrelid)`

/** NOT ENFORCED exists from 18 on; a row as JSON has the columns that there are. */
export const IS_ENFORCED = (k: string) => `coalesce((to_jsonb(${k}) ->> 'conenforced')::boolean, true)`

/** How two columns are compared. */
export interface ColumnPair {
  readonly referring: string
  readonly referred: string
  /** The equality that the constraint uses, in SQL: `operator(pg_catalog.=)`. Another one may compare otherwise (citext). */
  readonly operator: string
  /** In SQL, where the two columns sort by different rules and the one of the referred column has to be named. */
  readonly collation: string | null
}

/** Its pairs of columns, in the order of the constraint. */
export const COLUMN_PAIRS = (
  k: string,
) => `(select json_agg(json_build_object('referring', x.attname, 'referred', y.attname,
      'operator', format('operator(%I.%s)', (select nspname from pg_namespace where oid = o.oprnamespace), o.oprname),
      'collation', case when x.attcollation <> y.attcollation then
        (select format('%I.%I', q.nspname, l.collname) from pg_collation l join pg_namespace q on q.oid = l.collnamespace where l.oid = y.attcollation) end)
      order by u.position)
    from unnest(${k}.conkey, ${k}.confkey, ${k}.conpfeqop) with ordinality u (referring, referred, operator, position)
      join pg_attribute x on x.attrelid = ${k}.conrelid and x.attnum = u.referring
      join pg_attribute y on y.attrelid = ${k}.confrelid and y.attnum = u.referred
      join pg_operator o on o.oid = u.operator)`

/**
 * Whether a whole, valid index begins with the referring columns and finds single values: without one, each row deleted
 * from the referred table reads this one from end to end.
 */
export const IS_INDEXED = (
  k: string,
) => `exists (select from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am a on a.oid = x.relam
    where i.indrelid = ${k}.conrelid and i.indisvalid and i.indpred is null and a.amname in ('btree', 'hash')
      and i.indnkeyatts >= cardinality(${k}.conkey) and (i.indkey::int2[])[0:cardinality(${k}.conkey) - 1] @> ${k}.conkey)`

/** What is told of a foreign key, by name; `r` is the table that has it, `f` the one that it points at. */
const FACTS = {
  name: 'k.conname',
  table: RELATION_NAME('rn', 'r'),
  tableKind: RELATION_KIND('r.relkind'),
  tableOwner: 'pg_get_userbyid(r.relowner)',
  estimatedRows: ESTIMATED_ROWS('r'),
  references: RELATION_NAME('fn', 'f'),
  columns: COLUMN_NAMES('k.conrelid', 'k.conkey'),
  referredColumns: COLUMN_NAMES('k.confrelid', 'k.confkey'),
  pairs: COLUMN_PAIRS('k'),
  definition: 'pg_get_constraintdef(k.oid)',
  validated: 'k.convalidated',
  indexed: IS_INDEXED('k'),
  comment: COMMENT('k.oid', 'pg_constraint'),
} as const

/** A subquery's list of the foreign keys for which `which` is true, by the names of both tables. */
export const FOREIGN_KEYS = (told: readonly (keyof typeof FACTS)[], which: string) =>
  LIST(`select json_agg(json_build_object(${told.map((fact) => `'${fact}', ${FACTS[fact]}`).join(', ')})
    order by rn.nspname, r.relname, fn.nspname, f.relname, k.conname)
  from pg_constraint k join pg_class r on r.oid = k.conrelid join pg_namespace rn on rn.oid = r.relnamespace
    join pg_class f on f.oid = k.confrelid join pg_namespace fn on fn.oid = f.relnamespace
  where ${which}`)

/** The same by themselves. */
export async function readForeignKeys<Key extends object>(
  client: ClientBase,
  told: readonly (keyof Key & keyof typeof FACTS)[],
  which: string,
): Promise<readonly Key[]> {
  const { keys } = await readOne<{ keys: readonly Key[] }>(
    client,
    sql`select ${raw(FOREIGN_KEYS(told, which))} as keys`,
  )
  return keys
}

/** A table's oid, in SQL. */
export const OID = (table: TableName) => `${literal(quoted(table).text).text}::regclass`
