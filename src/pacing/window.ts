import { UsageError } from '../errors.ts'
import { calendarAt, validateTimezone } from '../grid/timezone.ts'

/** A stretch of each day by the wall clock of a time zone. It goes over midnight where it ends before it begins. */
export interface Window {
  /** Minutes after midnight; from is inside, to is not. */
  readonly from: number
  readonly to: number
  readonly timezone: string
}

const WRITTEN = /^([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)(?: (\S+))?$/

const HOUR = 60
const DAY = 24 * HOUR

/**
 * Reads `01:00-05:00`, which is UTC, and `22:00-04:30 Europe/Berlin`.
 *
 * @throws {UsageError}
 */
export function parseWindow(text: string): Window {
  const [, fromHour, fromMinute, toHour, toMinute, timezone = 'UTC'] = WRITTEN.exec(text.trim()) ?? []
  if (fromHour === undefined)
    throw new UsageError(
      `'${text}' is no window`,
      "Write it as 01:00-05:00, or with a time zone: '22:00-04:30 Europe/Berlin'.",
    )
  validateTimezone(timezone)
  const from = Number(fromHour) * HOUR + Number(fromMinute)
  const to = toHour === undefined ? DAY : Number(toHour) * HOUR + Number(toMinute)
  if (from === to)
    throw new UsageError(`the window '${text}' ends as it begins`, 'For the whole day leave the window out.')
  return { from, to, timezone }
}

/**
 * Whether an instant, in microseconds since the epoch, lies inside. On the
 * nights when the clock is changed an hour is missing or comes twice: a window
 * within the missing hour does not open at all.
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
