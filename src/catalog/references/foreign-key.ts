// What is asked of a foreign key, wherever one is read: `k` stands for its row in pg_constraint.

/** The constraint itself, and not what PostgreSQL has made of it for partitions of either table. */
export const IS_FOREIGN_KEY = (k: string) => `${k}.contype = 'f' and ${k}.conparentid = 0`

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
