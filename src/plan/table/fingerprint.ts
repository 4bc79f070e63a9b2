import type { CitusTable } from '../../catalog/citus.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { ident, raw, sql, type Sql } from '../../sql/sql.ts'

/** What a fingerprint says of a table. */
export interface Fingerprint {
  /** Of the place and transaction of each row, compared for equality only. */
  readonly fingerprint: string
  /** How many rows there are, or match. */
  readonly rows: number
}

/**
 * A query for the fingerprint of a table, on all its shards. A row that is inserted or updated has a place and transaction
 * of its own, and one that is deleted is missing; so two that are equal mean that all rows of the first were there, unchanged,
 * until the second, and that others which came are gone again. Whoever reads in between has exactly these rows if it has as
 * many. Shards on different nodes may have a place and a transaction number in common, and have no value of the distribution
 * column in common.
 *
 * @param matching which rows are counted; by default all
 */
export function fingerprintOf(
  table: TableName,
  citus: Pick<CitusTable, 'distributionColumn'> | undefined,
  matching: string | null = null,
): Sql {
  const column = citus?.distributionColumn ?? null
  const seed = column === null ? raw('') : sql` # hashtextextended(t.${ident(column)}::text, 0)`
  const rows = matching === null ? raw('') : sql` filter (where (${raw(matching)}\n))`
  return sql`
    select concat(count(*), ' rows, ', coalesce(sum(hashtidextended(t.ctid, t.xmin::text::bigint${seed})), 0)) as fingerprint, (count(*)${rows})::float8 as rows
    from ${quoted(table)} t`
}
