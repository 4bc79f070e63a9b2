import { UsageError } from '../errors.ts'
import { validateTimezone } from '../grid/grid.ts'
import { parseInterval, type Interval } from '../grid/interval.ts'
import { parseBytes, written } from '../pacing/parse-settings.ts'
import type { Width } from '../plan/language/policy.ts'
import { parseWidth } from '../plan/partition/parse-width.ts'
import { LONGEST_NAME } from '../sql/names.ts'
import { parseTableName, type WrittenName } from '../sql/parse-name.ts'
import { inForm, type Parser } from './option.ts'

// Parsers of values: text as typed, or a value of a program. Names are read as PostgreSQL reads them.

export function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw new UsageError('expected text', 'Pass it as text.')
}

/**
 * A column or schema, spelled as it is in the catalogue; in quotes, too, as SQL
 * would have it. Not folded to lower case: `--by createdAt` can only mean `createdAt`.
 */
export function name(value: unknown): string {
  const given = text(value)
  const spelled = /^"(?:[^"]|"")+"$/.test(given) ? given.slice(1, -1).replaceAll('""', '"') : given
  if (spelled !== '' && Buffer.byteLength(spelled) <= LONGEST_NAME && !spelled.includes('\0')) return spelled
  throw new UsageError(`${JSON.stringify(given)} is not a name`, `Write a name of 1 to ${LONGEST_NAME} bytes.`)
}

/** `public.events`, or from a program `{ schema, name }` with the names as they are. */
export function tableName(value: unknown): WrittenName {
  if (typeof value !== 'object' || value === null) return parseTableName(text(value))
  const { schema, name } = value as Partial<Record<'schema' | 'name', unknown>>
  return { schema: text(schema), name: text(name) }
}

/** The number of a run, or its table. */
export function run(value: unknown): { readonly runId: string } | WrittenName {
  const given = typeof value === 'object' ? value : written(value)
  return typeof given === 'string' && /^\d{1,18}$/.test(given) ? { runId: given } : tableName(given)
}

/** A candidate set has the number of the run that has recorded it. */
export function setNumber(value: unknown): string {
  return String(whole(1, Number.MAX_SAFE_INTEGER)(value))
}

/** A column with its table: `app."Experiments"."archived.at"`, or from a program `{ table, column }`. */
export function tableColumn(value: unknown): { readonly table: WrittenName; readonly column: string } {
  if (typeof value === 'object' && value !== null) {
    const { table, column } = value as Partial<Record<'table' | 'column', unknown>>
    return { table: tableName(table), column: name(column) }
  }
  const [, table, column] = /^(.+)\.("(?:[^"]|"")+"|[^".]+)$/.exec(text(value)) ?? []
  if (table !== undefined && column !== undefined) return { table: tableName(table), column: name(column) }
  throw new UsageError(`'${text(value)}' is not a table and column`, 'Write it as experiments.archived_at.')
}

/** A condition as after WHERE. */
export function condition(value: unknown): string {
  const given = text(value)
  if (given.trim() !== '') return given
  throw new UsageError(
    'the condition is empty',
    'Write it as after WHERE: "created_at < now() - interval \'90 days\'".',
  )
}

export function interval(value: unknown): Interval {
  return parseInterval(text(value))
}

/** A day of the calendar, as ISO 8601 writes it. */
export function day(value: unknown): string {
  const written = text(value)
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(written) && !Number.isNaN(Date.parse(written))
  if (isDay && new Date(written).toISOString().startsWith(written)) return written
  throw new UsageError(`${written} is not a day`, 'Write year, month and day: 2027-01-01.')
}

export function intervalOrNone(value: unknown): Interval | null {
  return value === 'none' ? null : interval(value)
}

export const width: Parser<Width> = inForm('text or number', (value) => parseWidth(written(value)))

export function timezone(value: unknown): string {
  validateTimezone(text(value))
  return text(value)
}

export const bytes: Parser<number> = inForm('text or number', (value) => parseBytes(written(value)))

/** A whole number. */
export function whole(least: number, most: number): Parser<number> {
  return inForm('number', (value) => {
    const given = written(value)
    if (/^\d+$/.test(given) && Number(given) >= least && Number(given) <= most) return Number(given)
    throw new UsageError(
      `'${given}' is not a whole number from ${least} to ${most}`,
      `Write a number from ${least} to ${most}.`,
    )
  })
}

const MOST_MS = 1e13

/** A duration in milliseconds: `90` (seconds), `10 minutes`, `2 hours`; a number of a program is milliseconds already. */
export const milliseconds: Parser<number> = inForm('text or number', (value) => {
  if (typeof value === 'number') return whole(1, MOST_MS)(value)
  const given = text(value)
  const [, digits, unit = 'seconds'] = /^([1-9]\d{0,6})(?: (seconds?|minutes?|hours?|days?))?$/.exec(given) ?? []
  if (digits === undefined)
    throw new UsageError(`'${given}' is not a duration`, "Write seconds, or '10 minutes', '2 hours', '1 day'.")
  const seconds = { s: 1, m: 60, h: 3600, d: 86_400 }[unit.charAt(0)] ?? 1
  return Number(digits) * seconds * 1000
})

/** One of several words; `what` says of what: `a method`. */
export function oneOf<Word extends string>(what: string, ...words: readonly Word[]): Parser<Word> {
  return inForm({ words }, (value) => {
    const found = words.find((word) => word === value)
    if (found !== undefined) return found
    const choice = `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
    throw new UsageError(`'${text(value)}' is not ${what}`, `Pass ${choice}.`)
  })
}

export function list<T>(parse: Parser<T>): Parser<readonly T[]> {
  return (value) => {
    if (Array.isArray(value)) return value.map((one) => parse(one))
    throw new UsageError('expected a list', 'Pass a list, even of one.')
  }
}
