import type { TableName } from '../sql/names.ts'
import { sql, type Sql } from '../sql/sql.ts'

// Entries of the journal have the name of a table, and its OID, which a rename leaves as it is. Both are asked for in an
// entry `s`; an OID is not there yet in a journal that is only looked at, and was made by an earlier version.

/** The OID of a table that is there. */
export function oidOf({ schema, name }: TableName): Sql {
  return sql`(select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema} and c.relname = ${name})`
}

/** Whether there is a relation of that name. */
export const EXISTS = sql`exists (
  select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = s.schema_name and c.relname = s.table_name)`

/** The name that it has now, as JSON; null where it still has that name, or was dropped. */
export const RENAMED_TO = sql`case when not ${EXISTS} then (
  select json_build_object('schema', n.nspname, 'name', c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = (to_jsonb(s) ->> 'relid')::oid and c.relkind in ('r', 'p')) end`

/**
 * The column by which it is partitioned now; null where it is not the table that was registered, or not partitioned by
 * one column. The key of a partitioned table never changes, so a column of another name is the same one, renamed.
 */
export const KEY_COLUMN = sql`(
  select a.attname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  join pg_partitioned_table t on t.partrelid = c.oid join pg_attribute a on a.attrelid = c.oid and a.attnum = t.partattrs[0]
  where c.oid = (to_jsonb(s) ->> 'relid')::oid and n.nspname = s.schema_name and c.relname = s.table_name and t.partnatts = 1)`
