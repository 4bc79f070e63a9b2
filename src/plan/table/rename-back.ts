import { quoted, type TableName } from '../../sql/names.ts'
import { ident, sql } from '../../sql/sql.ts'

/** What gives a table the name back that it had; where schema and name differ, the schema first. */
export function renameBack(present: TableName, recorded: TableName): string {
  const place = quoted(present)
  const { schema, name } = recorded
  if (present.schema === schema) return sql`alter table ${place} rename to ${ident(name)}`.text
  const move = sql`alter table ${place} set schema ${ident(schema)}`.text
  return present.name === name ? move : `${move}; ${renameBack({ ...present, schema }, recorded)}`
}
