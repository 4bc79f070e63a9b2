// Plans and requests in the journal. JSON has no 64-bit integers, so they are
// marked text there: { "bigint": "9000000" }.

/** A value as the journal keeps it. */
export function toStored(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? { bigint: inner.toString() } : inner)),
  )
}

/** What `toStored` was given. */
export function fromStored<T>(stored: T): T {
  return JSON.parse(JSON.stringify(stored), (_, inner: unknown) => {
    if (isMarked(inner)) return BigInt(inner.bigint)
    return isOfEarlierVersion(inner) ? { ...inner, settings: { search_path: inner.searchPath } } : inner
  }) as T
}

/** Work of which only the search path was kept: everything else was as sessions of Ebb had it. */
function isOfEarlierVersion(value: unknown): value is { searchPath: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'searchPath' in value &&
    typeof value.searchPath === 'string' &&
    !('settings' in value)
  )
}

function isMarked(value: unknown): value is { bigint: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'bigint' in value &&
    typeof value.bigint === 'string' &&
    Object.keys(value).length === 1
  )
}

/** JSON that is equal for equal values, whatever order their keys are in. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
