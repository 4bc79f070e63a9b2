import { plainType } from './key-model.ts'
import type { TimeKind } from '../../grid/key.ts'

/** How a column of this type tells the time of a row; null where its type is no time. */
export function calendarKind(type: string): TimeKind | null {
  switch (plainType(type)) {
    case 'timestamp with time zone':
      return 'timestamptz'
    case 'timestamp without time zone':
      return 'timestamp'
    case 'date':
      return 'date'
    default:
      return null
  }
}

/** A type whose values are moments or days, with or without a precision. */
export function isTimeType(type: string | undefined): boolean {
  return type !== undefined && calendarKind(type) !== null
}
