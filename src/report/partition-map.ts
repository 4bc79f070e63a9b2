import { rangeOf, type MapEntry } from '../catalog/partitions/inspect-partitions.ts'
import { showBytes, showCount } from '../text/units.ts'
import { ident } from '../sql/sql.ts'
import { columns } from '../text/columns.ts'

/** Beyond this many lines, those in the middle are only counted. */
const MOST_LINES = 40

/** The partitions of a table, one line each: name, bounds, rows, size. */
export function partitionMap(entries: readonly MapEntry[]): string[] {
  const lines = columns([['partition', 'from', 'to', 'rows', 'size', ''], ...entries.map(row)], [3, 4])
  if (entries.length <= MOST_LINES) return lines
  const half = MOST_LINES / 2
  const hidden = entries.length - MOST_LINES
  return [...lines.slice(0, half + 1), `… ${showCount(hidden)} more …`, ...lines.slice(-half)]
}

function row({ name, bounds, estimatedRows, bytes, state }: MapEntry): string[] {
  const range = rangeOf(bounds)
  return [
    /^[a-z_][a-z0-9_$]*$/.test(name.name) ? name.name : ident(name.name).text,
    range === null ? bounds : shortened(range.from),
    range === null ? '' : shortened(range.to),
    estimatedRows === null ? '?' : showCount(estimatedRows),
    bytes === null ? '?' : showBytes(bytes),
    state === 'table' ? '' : state,
  ]
}

/** `2026-12-01` for `2026-12-01 00:00:00+00`: the time of a bound matters only where there is one. */
function shortened(bound: string): string {
  return bound.replace(/^(\d{4,}-\d\d-\d\d) 00:00:00(?:\+00)?$/, '$1')
}
