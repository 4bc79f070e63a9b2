import { UsageError } from '../errors.ts'
import { validateTimezone } from '../grid/grid.ts'
import { LONGEST_NAME } from '../sql/names.ts'

// Words become values here, once. What PostgreSQL has names for is read as PostgreSQL reads it.

/**
 * A column or schema, spelled as it is in the catalogue; in quotes, too, as SQL
 * would have it. Not folded to lower case: `--by createdAt` can only mean `createdAt`.
 */
export function parseName(text: string): string {
  const name = /^"(?:[^"]|"")+"$/.test(text) ? text.slice(1, -1).replaceAll('""', '"') : text
  if (name !== '' && Buffer.byteLength(name) <= LONGEST_NAME && !name.includes('\0')) return name
  throw new UsageError(`${JSON.stringify(text)} is not a name`, `Write a name of 1 to ${LONGEST_NAME} bytes.`)
}

export function parseTimezone(text: string): string {
  validateTimezone(text)
  return text
}

/** A whole number from `least` on. */
export function parseWhole(text: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw new UsageError(
    `'${text}' is no whole number from ${least} to ${most}`,
    `Write a number from ${least} to ${most}.`,
  )
}

/** A stretch of time by the clock, in milliseconds: `90` (seconds), `10 minutes`, `2 hours`. */
export function parseDeadline(text: string): number {
  const [, digits, unit = 'seconds'] = /^([1-9]\d{0,6})(?: (seconds?|minutes?|hours?|days?))?$/.exec(text) ?? []
  if (digits === undefined)
    throw new UsageError(`'${text}' is not a duration`, "Write seconds, or '10 minutes', '2 hours', '1 day'.")
  const seconds = { s: 1, m: 60, h: 3600, d: 86_400 }[unit.charAt(0)] ?? 1
  return Number(digits) * seconds * 1000
}

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

/** A condition as after WHERE; `wanted` shows one. */
export function parseCondition(text: string, wanted: string): string {
  if (text.trim() === '') throw new UsageError('the condition is empty', `Pass ${wanted}.`)
  return text
}
