import { UsageError } from '../errors.ts'

/** A table name as written: without a schema the search path decides. */
export interface WrittenName {
  readonly schema: string | null
  readonly name: string
}

const PART = /\s*(?:"((?:[^"]|"")+)"|([^\s".]+))\s*/y

/**
 * Parses a table name as PostgreSQL does: `events`, `public.events`, `"We.ird"."Ev"`. Unquoted parts are folded to
 * lower case.
 *
 * @throws {UsageError} when it is not one or two identifiers
 */
export function parseTableName(text: string): WrittenName {
  const parts = splitParts(text)
  const [first, second] = parts
  if (first === undefined || parts.length > 2) throw notAName(text)
  return second === undefined ? { schema: null, name: first } : { schema: first, name: second }
}

function splitParts(text: string): string[] {
  const parts: string[] = []
  PART.lastIndex = 0
  for (;;) {
    const at = PART.lastIndex
    const match = PART.exec(text)
    if (match === null) throw notAName(text)
    parts.push(match[1] === undefined ? fold(match[2] ?? '', text) : match[1].replaceAll('""', '"'))
    PART.lastIndex = at + match[0].length
    if (PART.lastIndex === text.length) return parts
    if (text[PART.lastIndex] !== '.') throw notAName(text)
    PART.lastIndex += 1
  }
}

function fold(part: string, whole: string): string {
  if (!/^[\p{L}_][\p{L}\p{N}_$]*$/u.test(part)) throw notAName(whole)
  return part.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

function notAName(text: string): UsageError {
  return new UsageError(
    `${JSON.stringify(text)} is not a table name`,
    `Write events, public.events or, quoted where PostgreSQL requires it, '"My.Schema"."Events"'.`,
  )
}
