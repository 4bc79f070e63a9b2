import { EbbError } from '../errors.ts'
import { ceilDivide, floorDivide } from './arithmetic.ts'
import { EPOCHS, isTimeKind, type KeyKind, type Position } from './key-kind.ts'
import { isMidnight, isOnCalendar, readWallClock, writeWallClock } from './wall-clock.ts'

const MICROS_PER_MS = 1000n

const YEARS = 'Supported times are in the years 1 to 9999.'

const WHOLE_NUMBER = /^-?\d+$/
const UUID = /^([0-9a-f]{8})-([0-9a-f]{4})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/**
 * The position of a value, from its text as PostgreSQL prints it with DateStyle ISO and TimeZone UTC. Finer values
 * are rounded down: the nanoseconds of `epoch-ns`, and of a UUID all but its first 48 bits (RFC 9562, 5.7).
 *
 * @throws EbbError for `infinity`, for years outside 1 to 9999, and for text that is not a value of this kind.
 */
export function fromText(kind: KeyKind, text: string): Position {
  const position = read(kind, text)
  if (position === null) throw unfit(kind, text)
  if (isTimeKind(kind) && !isOnCalendar(position)) throw offCalendar(text)
  return position
}

/**
 * The text of a bound: the smallest value of this kind that lies at the position or after it. So `key < text` selects
 * exactly the values before it.
 *
 * @throws EbbError for years outside 1 to 9999, and for a `date` that is not midnight.
 */
export function toText(kind: KeyKind, position: Position): string {
  if (isTimeKind(kind) && !isOnCalendar(position)) throw unwritable(`${position} µs since 1970`, YEARS)
  switch (kind) {
    case 'timestamptz':
      return `${writeWallClock(position)}+00`
    case 'timestamp':
      return writeWallClock(position)
    case 'date':
      return writeDate(position)
    case 'epoch-s':
    case 'epoch-ms':
    case 'epoch-us':
    case 'epoch-ns':
      return ceilDivide(position * EPOCHS[kind].ticks, EPOCHS[kind].micros).toString()
    case 'uuidv7':
      return writeUuid(position)
    case 'id':
      return position.toString()
  }
}

function read(kind: KeyKind, text: string): Position | null {
  switch (kind) {
    case 'timestamptz':
      return text.endsWith('+00') ? readWallClock(text.slice(0, -'+00'.length)) : null
    case 'timestamp':
      return readWallClock(text)
    case 'date':
      return readWallClock(`${text} 00:00:00`)
    case 'epoch-s':
    case 'epoch-ms':
    case 'epoch-us':
    case 'epoch-ns':
      return WHOLE_NUMBER.test(text) ? floorDivide(BigInt(text) * EPOCHS[kind].micros, EPOCHS[kind].ticks) : null
    case 'uuidv7':
      return readUuid(text)
    case 'id':
      return WHOLE_NUMBER.test(text) ? BigInt(text) : null
  }
}

function writeDate(position: Position): string {
  if (!isMidnight(position))
    throw new EbbError(`${writeWallClock(position)} is not a date: it has a time of day.`, {
      state: 'The key is a date, and this bound is within a day.',
      next: 'Choose an interval of days, weeks, months, quarters or years.',
    })
  return writeWallClock(position).slice(0, 'YYYY-MM-DD'.length)
}

// Version and variant stay zero, so that the bound is below every UUID of its millisecond, of any version.
function writeUuid(position: Position): string {
  const ms = ceilDivide(position, MICROS_PER_MS)
  if (ms < 0n) throw unwritable(writeWallClock(position), 'A UUIDv7 cannot hold a time before 1970.')
  const hex = ms.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`
}

function readUuid(text: string): Position | null {
  const [, high, low] = UUID.exec(text) ?? []
  return high === undefined ? null : BigInt(`0x${high}${low}`) * MICROS_PER_MS
}

function unfit(kind: KeyKind, text: string): EbbError {
  if (/^-?infinity$| BC$|^\d{5,}-/.test(text)) return offCalendar(text)
  return new EbbError(`'${text}' cannot be read as ${kind}.`, {
    state: 'Expected is the text that PostgreSQL prints with DateStyle ISO and TimeZone UTC.',
    next: 'Check the values of this column, and whether it is the right key.',
  })
}

function offCalendar(text: string): EbbError {
  return new EbbError(`'${text}' is outside the supported range of times.`, {
    state: YEARS,
    next: 'Find such values in the key column, and set them to a real time or to null.',
  })
}

function unwritable(what: string, why: string): EbbError {
  return new EbbError(`A bound cannot lie at ${what}.`, { state: why, next: 'Choose a shorter interval.' })
}
