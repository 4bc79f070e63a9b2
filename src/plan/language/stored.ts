// Requests and situations in the journal. JSON has no 64-bit integers, no sets
// and no dates, so they are marked there: { "bigint": "9000000" }, { "set": ["a"] }.

/** A value as stored in the journal. */
export function toStored(value: unknown): unknown {
  return JSON.parse(
    // toJSON has already turned a date into text.
    JSON.stringify(value, function (this: Record<string, unknown>, field, inner: unknown) {
      return marked(this[field] instanceof Date ? this[field] : inner)
    }),
  )
}

function marked(value: unknown): unknown {
  if (typeof value === 'bigint') return { bigint: value.toString() }
  if (value instanceof Date) return { date: value.toISOString() }
  return value instanceof Set ? { set: [...value] } : value
}

/** The inverse of `toStored`. */
export function fromStored<T>(stored: T): T {
  return JSON.parse(JSON.stringify(stored), (_, inner: unknown) =>
    isOfEarlierVersion(inner) ? { ...inner, settings: { search_path: inner.searchPath } } : unmarked(inner),
  ) as T
}

/** Work stored with its search path only: all other settings were those of Ebb's sessions. */
function isOfEarlierVersion(value: unknown): value is { searchPath: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'searchPath' in value &&
    typeof value.searchPath === 'string' &&
    !('settings' in value)
  )
}

function unmarked(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 1) return value
  if ('bigint' in value && typeof value.bigint === 'string') return BigInt(value.bigint)
  if ('date' in value && typeof value.date === 'string') return new Date(value.date)
  return 'set' in value && Array.isArray(value.set) ? new Set(value.set) : value
}

/** Canonical JSON: equal for equal values, whatever the order of their keys. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
