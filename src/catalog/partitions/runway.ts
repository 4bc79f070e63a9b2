import type { ClientBase } from 'pg'
import { readClock } from '../../db/clock.ts'
import { readAll } from '../../db/query.ts'
import { coveredUntil, type Span } from '../../grid/gaps.ts'
import { displayPosition, positionOf, type KeyKind, type Position } from '../../grid/key.ts'
import { quoted, type TableName } from '../../sql/names.ts'
import { sql } from '../../sql/sql.ts'
import { parseBounds } from './bounds.ts'
import { spanOf } from './key.ts'

/** Until when rows have a partition: `missing` where those of now have none, or only a default partition. */
export type Runway =
  { readonly state: 'ends'; readonly until: string } | { readonly state: 'endless' } | { readonly state: 'missing' }

/**
 * The end of the adjacent partitions from now on; by id, of the last ones. Bounds alone are read: without a lock on any
 * partition, and by a role that may not read them.
 */
export async function readRunway(
  session: ClientBase,
  table: TableName,
  { kind, timezone }: { readonly kind: KeyKind; readonly timezone: string },
): Promise<Runway> {
  const rows = await readAll<{ bounds: string }>(
    session,
    sql`
    select pg_get_expr(c.relpartbound, 0) as bounds from pg_inherits h join pg_class c on c.oid = h.inhrelid
    where h.inhparent = to_regclass(${quoted(table).text}) and not h.inhdetachpending and c.relpartbound is not null`,
  )
  const spans = rows.flatMap(({ bounds }) => {
    const parsed = parseBounds(bounds)
    return parsed?.kind === 'range' ? (spanOf(kind, parsed)?.span ?? []) : []
  })
  const here = kind === 'id' ? lastStart(spans) : positionOf(kind, await readClock(session), timezone)
  if (here === null) return { state: 'missing' }
  const until = coveredUntil(spans, here)
  if (until === null) return { state: 'endless' }
  return until === here ? { state: 'missing' } : { state: 'ends', until: displayPosition(kind, until, timezone) }
}

function lastStart(spans: readonly Span[]): Position | null {
  const starts = spans.map(({ from, to }) => from ?? (to === null ? 0n : to - 1n))
  return starts.reduce<Position | null>((last, start) => (last === null || start > last ? start : last), null)
}
