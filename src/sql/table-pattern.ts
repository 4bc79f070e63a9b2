import { UsageError } from '../errors.ts'
import { parseTableName, type WrittenName } from './parse-name.ts'

/** Tables that are chosen by a pattern, as psql has them: `audit.*`, `events_20??`. Each part is a pattern of LIKE. */
export interface TablePattern {
  /** As it was written. */
  readonly pattern: string
  /** Null without one: tables on the search path. */
  readonly schema: string | null
  readonly name: string
}

/** A table by its name, or tables by a pattern. */
export type TableChoice = WrittenName | TablePattern

export function isPattern(choice: TableChoice): choice is TablePattern {
  return 'pattern' in choice
}

const QUOTED = /"(?:[^"]|"")*"/g

/**
 * Parses a table name, or a pattern: outside of double quotes `*` stands for any characters, `?` for one, and capitals are folded to
 * lower case; in quotes everything stands for itself. `audit.*`, `"My.Schema".*`, `*.events`.
 *
 * @throws {UsageError} when it is neither
 */
export function parseTableChoice(text: string): TableChoice {
  if (!/[*?]/.test(text.replace(QUOTED, ''))) return parseTableName(text)
  const parts = splitParts(text.trim())
  const [first, second] = parts
  if (first === undefined || parts.length > 2) throw notAPattern(text)
  return second === undefined
    ? { pattern: text, schema: null, name: first }
    : { pattern: text, schema: first, name: second }
}

const PIECE = /"((?:[^"]|"")*)"|(\.)|([\p{L}\p{N}_$*?]+)/uy

/** The parts, in the syntax of LIKE. */
function splitParts(text: string): string[] {
  const parts = ['']
  PIECE.lastIndex = 0
  while (PIECE.lastIndex < text.length) {
    const match = PIECE.exec(text)
    if (match === null) throw notAPattern(text)
    const [, quoted, dot, plain] = match
    if (dot !== undefined) parts.push('')
    else parts[parts.length - 1] += quoted === undefined ? wild(plain ?? '') : literal(quoted.replaceAll('""', '"'))
  }
  if (parts.includes('')) throw notAPattern(text)
  return parts
}

function wild(text: string): string {
  const folded = text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  return literal(folded).replaceAll('*', '%').replaceAll('?', '_')
}

function literal(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&')
}

function notAPattern(text: string): UsageError {
  return new UsageError(
    `${JSON.stringify(text)} is not a pattern of table names`,
    `Write 'audit.*', 'events_20??' or, quoted where PostgreSQL requires it, '"My.Schema".*'.`,
  )
}
