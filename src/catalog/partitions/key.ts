import { EbbError } from '../../errors.ts'
import type { Span } from '../../grid/gaps.ts'
import { inferGrid } from '../../grid/grid.ts'
import { epochUnitOf, fromText, toText, type EpochKind, type KeyKind, type Position } from '../../grid/key.ts'
import { calendarKind } from '../table/calendar-kind.ts'
import type { Bounds } from './bounds.ts'
import { plainType } from '../table/key-model.ts'

/**
 * What the values of a set's key mean, by the column's type; of an integer by
 * its bounds: a time where they follow a calendar in one of the epoch units,
 * else an id. Null for a type that is no key.
 */
export function kindOfSet(type: string, bounds: readonly Bounds[]): KeyKind | null {
  switch (plainType(type)) {
    case 'uuid':
      return 'uuidv7'
    case 'bigint':
    case 'integer':
    case 'smallint':
      return epochKind(bounds) ?? 'id'
    default:
      return calendarKind(type)
  }
}

// Ids between 1 and 4 billion could be seconds, so the calendar has the last word.
function epochKind(bounds: readonly Bounds[]): EpochKind | null {
  const ranges = bounds.flatMap((bound) => (bound.kind === 'range' ? [bound] : []))
  const last = ranges.flatMap(({ to }) => (to === null ? [] : [BigInt(to)])).reduce((a, b) => (a > b ? a : b), 0n)
  const unit = epochUnitOf(last)
  if (unit === null) return null
  const spans = ranges.flatMap((range) => spanOf(unit, range)?.span ?? [])
  return inferGrid(unit, spans) === null ? null : unit
}

/** Bounds as places on the key's line. */
export interface Placed {
  readonly span: Span
  /** False where the upper bound lies a little after `span.to`, between two places. */
  readonly toIsExact: boolean
}

/**
 * Places bounds on the line of a key. A bound beyond the years 1 to 9999, such
 * as `infinity`, is as good as none. Null where no such year lies between them.
 */
export function spanOf(kind: KeyKind, { from, to }: Extract<Bounds, { kind: 'range' }>): Placed | null {
  const start = placeOf(kind, from)
  const end = placeOf(kind, to)
  if (start === 'after' || end === 'before') return null
  const span = { from: start === 'before' ? null : start, to: end === 'after' ? null : end }
  return { span, toIsExact: span.to === null || toText(kind, span.to).toLowerCase() === to?.toLowerCase() }
}

function placeOf(kind: KeyKind, text: string | null): Position | null | 'before' | 'after' {
  if (text === null) return null
  try {
    return fromText(kind, text)
  } catch (error) {
    if (!(error instanceof EbbError)) throw error
    return text.startsWith('-') || text.endsWith(' BC') ? 'before' : 'after'
  }
}
