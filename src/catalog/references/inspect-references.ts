import type { ClientBase } from 'pg'
import { readAll } from '../../db/session.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { raw, sql } from '../../sql/sql.ts'
import { IS_FOREIGN_KEY, IS_INDEXED } from './foreign-key.ts'

/** A foreign key of another table onto this one, as deleting a row here sees it. */
export interface Reference {
  readonly name: string
  readonly table: TableName
  readonly columns: readonly string[]
  /** An index begins with these columns; without one, each row deleted here reads that table from end to end. */
  readonly indexed: boolean
  readonly estimatedRows: number | null
}

/** The foreign keys that point at a table. */
export async function readReferences(client: ClientBase, table: TableName): Promise<Reference[]> {
  return readAll<Reference>(
    client,
    sql`
    select f.conname as name, json_build_object('schema', n.nspname, 'name', c.relname) as table,
      array(select a.attname::text from unnest(f.conkey) with ordinality k (num, position)
            join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.num order by k.position) as columns,
      ${raw(IS_INDEXED('f'))} as indexed,
      nullif(c.reltuples, -1)::float8 as "estimatedRows"
    from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace
    where f.confrelid = ${quoted(table).text}::regclass and ${raw(IS_FOREIGN_KEY('f'))}
    order by n.nspname, c.relname, f.conname`,
  )
}
