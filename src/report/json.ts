import { spellOut } from '../text/comment.ts'

/**
 * JSON in one line. 64-bit integers become text: JavaScript's JSON would round them, or refuse. Of the characters that
 * can control a terminal JSON.stringify escapes only some; all of them are escaped here, for they occur in strings only.
 */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner))
  return spellOut(text, (code) => `\\u${code.toString(16).padStart(4, '0')}`)
}
