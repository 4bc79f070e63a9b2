import { UsageError } from '../errors.ts'
import { calendarAt, validateTimezone } from '../grid/timezone.ts'

/** A daily time window in a time zone. It spans midnight if it ends before it begins. */
export interface Window {
  /** Minutes after midnight; from is inclusive, to exclusive. */
  readonly from: number
  readonly to: number
  readonly timezone: string
}

const WRITTEN = /^([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)(?: (\S+))?$/

const HOUR = 60
const DAY = 24 * HOUR

/**
 * Parses `01:00-05:00`, which is UTC, and `22:00-04:30 Europe/Berlin`.
 *
 * @throws {UsageError}
 */
export function parseWindow(text: string): Window {
  const [, fromHour, fromMinute, toHour, toMinute, timezone = 'UTC'] = WRITTEN.exec(text.trim()) ?? []
  if (fromHour === undefined)
    throw new UsageError(
      `'${text}' is not a time window`,
      "Write it as 01:00-05:00, or with a time zone: '22:00-04:30 Europe/Berlin'.",
    )
  validateTimezone(timezone)
  const from = Number(fromHour) * HOUR + Number(fromMinute)
  const to = toHour === undefined ? DAY : Number(toHour) * HOUR + Number(toMinute)
  if (from === to)
    throw new UsageError(`the window '${text}' ends when it begins`, 'For the whole day, leave out the window.')
  return { from, to, timezone }
}

/**
 * Whether an instant, in microseconds since the epoch, is inside. When the clock changes an hour is skipped or
 * repeated: a window within the skipped hour does not open.
 */
export function isOpen({ from, to, timezone }: Window, instant: bigint): boolean {
  const { hour, minute } = calendarAt(instant, timezone)
  const now = hour * HOUR + minute
  return from < to ? from <= now && now < to : from <= now || now < to
}

/** `22:00-04:30 Europe/Berlin`; what `parseWindow` reads back. */
export function showWindow({ from, to, timezone }: Window): string {
  return `${showTime(from)}-${showTime(to)} ${timezone}`
}

function showTime(minutes: number): string {
  return [Math.floor(minutes / HOUR), minutes % HOUR].map((part) => String(part).padStart(2, '0')).join(':')
}
