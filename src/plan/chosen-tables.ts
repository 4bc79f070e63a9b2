import type { MatchingRelation } from '../catalog/table/matching-relations.ts'
import { UsageError } from '../errors.ts'
import { display, sameName, type TableName } from '../sql/names.ts'

/** A choice, with what it has led to: one table that was named, or all that match a pattern. */
export type Found =
  { readonly table: TableName } | { readonly pattern: string; readonly matching: readonly MatchingRelation[] }

/** The tables to work on, each once and in the order in which they were chosen, and those that patterns match besides. */
export interface ChosenTables {
  readonly tables: readonly TableName[]
  readonly skipped: readonly { readonly table: TableName; readonly reason: string }[]
}

/**
 * What is chosen by names is taken; a pattern stands for tables, without partitions of tables that it also matches and
 * without those that Ebb keeps for a rollback or a run of its own.
 *
 * @throws {UsageError} when nothing is left of a pattern
 */
export function chooseTables(found: readonly Found[], own: readonly TableName[]): ChosenTables {
  const chosen = found.map((one) => ('table' in one ? { tables: [one.table], skipped: [] } : ofPattern(one, own)))
  const tables = distinct(chosen.flatMap((one) => one.tables))
  const named = (table: TableName) => tables.some((other) => sameName(other, table))
  const skipped = chosen.flatMap((one) => one.skipped).filter(({ table }) => !named(table))
  return {
    tables,
    skipped: skipped.filter(({ table }, at) => skipped.findIndex((one) => sameName(one.table, table)) === at),
  }
}

function ofPattern(
  { pattern, matching }: Extract<Found, { readonly pattern: string }>,
  own: readonly TableName[],
): ChosenTables {
  const judged = matching.map((one) => ({ table: one.name, reason: whyNot(one, matching, own) }))
  const tables = judged.flatMap(({ table, reason }) => (reason === null ? [table] : []))
  const skipped = judged.flatMap(({ table, reason }) => (reason === null ? [] : [{ table, reason }]))
  if (tables.length === 0) throw nothingMatches(pattern, skipped)
  return { tables, skipped }
}

function whyNot(
  { name, kind, partitionOf }: MatchingRelation,
  matching: readonly MatchingRelation[],
  own: readonly TableName[],
): string | null {
  const parent = partitionOf.find((above) => matching.some((other) => sameName(other.name, above)))
  if (parent !== undefined) return `it is a partition of ${display(parent)}`
  if (kind !== 'table') return `it is a ${kind}`
  return own.some((other) => sameName(other, name)) ? 'Ebb keeps it for a rollback or an unfinished run' : null
}

function nothingMatches(pattern: string, skipped: ChosenTables['skipped']): UsageError {
  const [first] = skipped
  const matched = first === undefined ? '' : `; of ${display(first.table)}: ${first.reason}`
  const more = skipped.length > 1 ? `, and ${skipped.length - 1} more` : ''
  return new UsageError(
    `no table matches '${pattern}'${matched}${more}`,
    `Check the schema and the database; in double quotes * and ? stand for themselves, and capitals are kept.`,
  )
}

function distinct(tables: readonly TableName[]): TableName[] {
  return tables.filter((table, at) => tables.findIndex((other) => sameName(other, table)) === at)
}
