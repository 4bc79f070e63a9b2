/** The bounds of a partition as PostgreSQL prints them, values as plain text; null is MINVALUE or MAXVALUE. */
export type Bounds =
  { readonly kind: 'range'; readonly from: string | null; readonly to: string | null } | { readonly kind: 'default' }

const VALUE = String.raw`(MINVALUE|MAXVALUE|-?\d+(?:\.\d+)?|'(?:[^']|'')*'(?:::[a-z][a-z0-9_ ()]*)?)`
const RANGE = new RegExp(String.raw`^FOR VALUES FROM \(${VALUE}\) TO \(${VALUE}\)$`)

/**
 * Reads what `pg_get_expr(relpartbound)` prints for a partition by one column.
 * Strict, because rows are removed on the strength of it: null for anything
 * else, such as lists, several columns, or `FROM (MAXVALUE)`.
 */
export function parseBounds(text: string): Bounds | null {
  if (text === 'DEFAULT') return { kind: 'default' }
  const [, from, to] = RANGE.exec(text) ?? []
  if (from === undefined || to === undefined || from === 'MAXVALUE' || to === 'MINVALUE') return null
  return { kind: 'range', from: valueOf(from), to: valueOf(to) }
}

function valueOf(written: string): string | null {
  if (written === 'MINVALUE' || written === 'MAXVALUE') return null
  if (!written.startsWith("'")) return written
  return written.slice(1, written.lastIndexOf("'")).replaceAll("''", "'")
}
