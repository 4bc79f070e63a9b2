import { ident, type Sql } from './sql.ts'

/** The name of a relation: two fields, never one dotted text, because a name may contain a dot. */
export interface TableName {
  readonly schema: string
  readonly name: string
}

/** PostgreSQL silently truncates names to this many bytes (NAMEDATALEN - 1). */
export const LONGEST_NAME = 63

/** The name for a statement. */
export function quoted(table: TableName): Sql {
  return ident(table.schema, table.name)
}

/** The name for display, quoted only if PostgreSQL requires it. */
export function display(table: TableName): string {
  return `${displayPart(table.schema)}.${displayPart(table.name)}`
}

export function sameName(a: TableName, b: TableName): boolean {
  return a.schema === b.schema && a.name === b.name
}

/** Each once, in order. */
export function distinctNames(tables: readonly TableName[]): TableName[] {
  const byDisplay = new Map(tables.map((table) => [display(table), table]))
  return [...byDisplay].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, table]) => table)
}

/**
 * The name of a companion, such as `events_2026_12` for `events`. If 63 bytes are too few the base is truncated,
 * never the suffix, so that the companions of a table stay distinct.
 */
export function companion(base: string, suffix: string): string {
  return cutToBytes(base, LONGEST_NAME - Buffer.byteLength(suffix)) + suffix
}

/** A companion's name that is free: `events_history`, else `events_history_2`, `events_history_3`, … */
export function freeCompanion(base: string, suffix: string, taken: Pick<ReadonlySet<string>, 'has'>): string {
  for (let attempt = 1; ; attempt++) {
    const name = companion(base, attempt === 1 ? suffix : `${suffix}_${attempt}`)
    if (!taken.has(name)) return name
  }
}

function displayPart(part: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(part) ? part : ident(part).text
}

function cutToBytes(text: string, bytes: number): string {
  let kept = ''
  for (const character of text) {
    if (Buffer.byteLength(kept + character) > bytes) return kept
    kept += character
  }
  return kept
}
