import { ident, sql, type Sql } from '../../../sql/sql.ts'
import type { ArchivedColumn, Encoding } from '../receipt.ts'
import { TEXT, typeFor } from './column-types.ts'

/**
 * Instants as text in UTC, whatever the time zone in which the condition is read: Parquet has them without a zone, and the
 * rules of a zone by which its text would be made again may be others when it is read. Null for other columns.
 */
export function sentInUtc(
  { name, type }: Pick<ArchivedColumn, 'name' | 'type'>,
  settings: Encoding['settings'],
): Sql | null {
  const instant = type.endsWith('with time zone') && type.startsWith('timestamp') && typeFor(type, settings) !== TEXT
  if (!instant || settings.TimeZone === 'UTC') return null
  const value = sql`t.${ident(name)}`
  return sql`case when pg_catalog.isfinite(${value}) then pg_catalog.concat(pg_catalog.timezone('UTC', ${value}), '+00') else ${value}::pg_catalog.text end`
}
