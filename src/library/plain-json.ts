/**
 * Lets `JSON.stringify` write a result, or any part of it: 64-bit integers become text, as on the command line. A
 * method that is not enumerable does it, so that the values themselves stay numbers to calculate with.
 */
export function forJson<T>(result: T): T {
  visit(result, new Set())
  return result
}

function visit(value: unknown, seen: Set<object>): void {
  if (typeof value !== 'object' || value === null || seen.has(value) || value instanceof Date) return
  seen.add(value)
  const members: unknown[] = Object.values(value)
  if (members.some((member) => typeof member === 'bigint') && Object.isExtensible(value))
    Object.defineProperty(value, 'toJSON', { value: withText, configurable: true })
  for (const member of members) visit(member, seen)
}

function withText(this: object): unknown {
  const text = (value: unknown) => (typeof value === 'bigint' ? value.toString() : value)
  return Array.isArray(this)
    ? this.map(text)
    : Object.fromEntries(Object.entries(this).map(([key, value]) => [key, text(value)]))
}
