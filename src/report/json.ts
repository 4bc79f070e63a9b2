/** JSON in one line. 64-bit integers become text: JavaScript's JSON would round them, or refuse. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner))
}
