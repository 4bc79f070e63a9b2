import type { Temporal } from 'temporal-polyfill'
import { calendarZone, isTimeKind, type KeyKind, type Position } from './key-kind.ts'
import { calendarAt } from './timezone.ts'

/**
 * A position for display: `2026-12-01 00:00 Europe/Berlin`, a date without the time, an id in plain digits. Seconds
 * are shown where there are any, the offset where the clock shows the same time twice.
 */
export function displayPosition(kind: KeyKind, position: Position, timezone: string): string {
  if (!isTimeKind(kind)) return position.toString()
  const shown = calendarAt(position, calendarZone(kind, timezone))
  if (kind === 'date') return shown.toPlainDate().toString()
  return `${shown.toPlainDate().toString()} ${timeOfDay(shown)}${isShownTwice(shown) ? shown.offset : ''} ${timezone}`
}

function timeOfDay(moment: Temporal.ZonedDateTime): string {
  const time = moment.toPlainTime()
  const isWholeMinute = moment.round({ smallestUnit: 'minute', roundingMode: 'floor' }).equals(moment)
  return isWholeMinute ? time.toString({ smallestUnit: 'minute' }) : time.toString()
}

function isShownTwice(moment: Temporal.ZonedDateTime): boolean {
  const clock = moment.toPlainDateTime()
  const first = clock.toZonedDateTime(moment.timeZoneId, { disambiguation: 'earlier' })
  const second = clock.toZonedDateTime(moment.timeZoneId, { disambiguation: 'later' })
  return !first.equals(second)
}
