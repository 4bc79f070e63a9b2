import type { ClientBase } from 'pg'
import { readOne } from '../../db/query.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { sql, raw } from '../../sql/sql.ts'
import { INDEX_TAIL } from '../table/table-parts.ts'
import { LIST } from '../table/json-parts.ts'

/** What decides whether partitions of a table can be stored in columns. */
export interface ColumnarFacts {
  /** Whether there is an access method of that name. */
  readonly isThere: boolean
  /** Of the table itself: each of its partitions has one like it. */
  readonly indexes: readonly ParentIndex[]
  /** Row triggers that fire after a statement, of the table itself. */
  readonly afterTriggers: readonly string[]
}

export interface ParentIndex {
  readonly name: string
  /** `btree`. */
  readonly method: string
  /** `PRIMARY KEY (id, at)`, where a constraint owns it; null where it is an index alone. */
  readonly constraint: string | null
  readonly unique: boolean
  /** What follows the table in the definition of the index: `USING btree (id, at)`. */
  readonly tail: string
}

const INDEXES = LIST(`
  select json_agg(json_build_object('name', x.relname, 'method', m.amname, 'constraint', pg_get_constraintdef(k.oid),
    'unique', i.indisunique, 'tail', ${INDEX_TAIL('n', 'c')}) order by x.relname)
  from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
    left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = c.oid and k.contype in ('p', 'u', 'x')
  where i.indrelid = c.oid`)

export function readColumnarFacts(client: ClientBase, table: TableName): Promise<ColumnarFacts> {
  return readOne<ColumnarFacts>(
    client,
    sql`
    select exists (select from pg_am where amname = 'columnar' and amtype = 't') as "isThere", ${raw(INDEXES)} as indexes,
      array(select g.tgname::text from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal and g.tgtype & 1 = 1 and g.tgtype & 66 = 0 order by 1) as "afterTriggers"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass(${quoted(table).text})`,
  )
}
