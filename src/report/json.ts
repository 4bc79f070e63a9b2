import { spellOut } from '../text/comment.ts'

/**
 * JSON in one line. 64-bit integers become text: JavaScript's JSON would round them, or refuse. Of the characters that
 * play tricks on a terminal JavaScript's escapes some, and all may be escaped: they are in strings only.
 */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner))
  return spellOut(text, (code) => `\\u${code.toString(16).padStart(4, '0')}`)
}
