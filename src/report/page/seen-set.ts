import { parseBounds } from '../../catalog/partitions/bounds.ts'
import { spanOf, type Placed } from '../../catalog/partitions/key.ts'
import type { PartitionSize } from '../../catalog/partitions/partition-sizes.ts'
import type { SetOverview } from '../../engine/overview/overview.ts'
import { byStart, coveredUntil, type Span } from '../../grid/gaps.ts'
import { plus } from '../../grid/grid.ts'
import { instantAt, isTimeKind, positionOf, type Position } from '../../grid/key.ts'
import type { RemovedPartition } from '../../journal/rotation-history.ts'
import { concernsRange, type Hold } from '../../plan/language/hold.ts'
import { horizonOf, liesBefore, type Horizon } from '../../plan/rotate/horizon.ts'
import { sameName, type TableName } from '../../sql/names.ts'

/** What is to be said of a partition. */
export type PartitionState =
  | 'kept'
  | 'current'
  | 'history'
  | 'ahead'
  /** All its rows have, and the next rotation retires it. */
  | 'expired'
  /** It has expired, and is kept all the same. */
  | 'on hold'
  | 'default'
  /** A detach of it was interrupted. */
  | 'half detached'

export interface SeenPartition {
  readonly name: TableName
  readonly state: PartitionState
  /** Null where it has no place: a default partition, or one with bounds of another kind. */
  readonly span: Span | null
  readonly bytes: number
  readonly rows: number | null
  /** Where its last row is on the line of what expires, or will be; null where that is not known. */
  readonly newest: Position | null
}

/** A removed partition with its place. */
export interface SeenRemoval extends RemovedPartition {
  readonly span: Span | null
}

/** A partitioned table as it is shown. */
export interface SeenSet {
  readonly table: TableName
  readonly set: SetOverview
  /** In the order of their bounds; those without a place last. */
  readonly partitions: readonly SeenPartition[]
  readonly removed: readonly SeenRemoval[]
  readonly holds: readonly Hold[]
  readonly horizon: Horizon | null
  /** On the line of the key; null for ids, which do not tell the time. */
  readonly now: Position | null
  /** Up to where rows have partitions; null without an end, `missing` where those of now have none. */
  readonly runway: Position | null | 'missing'
  readonly bytes: number
  readonly rows: number | null
}

/** Looks at a table at a moment, in microseconds since the epoch. Pure. */
export function seenSet(set: SetOverview, allHolds: readonly Hold[], now: bigint): SeenSet {
  const { policy, expiryKind, table } = set
  const { kind, timezone, keep } = policy
  const holds = allHolds.filter(
    (hold) => sameName(hold.table, table) || set.partitions.some(({ name }) => sameName(hold.table, name)),
  )
  const horizon = keep === null || expiryKind === null ? null : horizonOf(expiryKind, timezone, now, keep)
  const here = isTimeKind(kind) ? positionOf(kind, now, timezone) : null
  const places = set.partitions.map(({ boundsText }) => placeOf(boundsText, set))
  const spans = places.map((place) => place?.span ?? null)
  const attached = spans.filter((span, i) => span !== null && set.partitions[i]?.detachPending === false) as Span[]
  const arriving = here ?? lastFilled(set.partitions, spans)
  const partitions = set.partitions.map((partition, i) =>
    seenPartition(partition, places[i] ?? null, { set, holds, horizon, arriving }),
  )
  return {
    ...{ table, set, holds, horizon, now: here },
    partitions: partitions.toSorted(inOrder),
    removed: set.removed.map((one) => ({ ...one, span: removedSpan(one, set) })),
    runway: runwayOf(attached, here),
    bytes: partitions.reduce((sum, one) => sum + one.bytes, 0),
    rows: sumOrNull(partitions.map(({ rows }) => rows)),
  }
}

/** When a partition can be retired, in microseconds since the epoch; null where that is not known, or never. */
export function expiryOf({ newest }: SeenPartition, horizon: Horizon | null): bigint | null {
  if (horizon === null || newest === null) return null
  const { kind, timezone, keep } = horizon
  return instantAt(kind, plus(newest, keep, kind, timezone), timezone)
}

/** The sum; null if one of them is not known. */
export function sumOrNull(values: readonly (number | null)[]): number | null {
  return values.reduce((sum, value) => (sum === null || value === null ? null : sum + value), 0)
}

interface Around {
  readonly set: SetOverview
  readonly holds: readonly Hold[]
  readonly horizon: Horizon | null
  /** Where rows arrive now: what begins behind it is ahead. */
  readonly arriving: Position | null
}

function seenPartition(partition: PartitionSize, place: Placed | null, around: Around): SeenPartition {
  const span = place?.span ?? null
  const { name, bytes, empty, estimatedRows } = partition
  const newest = around.set.policy.kind === 'id' ? around.set.newestIn.get(partition.oid) : span?.to
  const state = stateOf(partition, place, around)
  return {
    name,
    state,
    span,
    bytes,
    rows: empty ? 0 : estimatedRows,
    newest: typeof newest === 'bigint' ? newest : null,
  }
}

function stateOf(partition: PartitionSize, place: Placed | null, around: Around): PartitionState {
  const span = place?.span ?? null
  const { set, holds, arriving } = around
  if (partition.detachPending) return 'half detached'
  if (span === null) return partition.boundsText === 'DEFAULT' ? 'default' : 'kept'
  if (isExpired(partition.oid, place, around)) {
    const isHeld = holds.some(
      (hold) => sameName(hold.table, partition.name) || concernsRange(hold, span, set.policy.kind),
    )
    return isHeld ? 'on hold' : 'expired'
  }
  if (span.from === null) return 'history'
  if (arriving === null) return 'kept'
  if (span.from > arriving) return 'ahead'
  return span.to === null || span.to > arriving ? 'current' : 'kept'
}

/** By the bounds; by id, by what is known of the newest row. */
function isExpired(oid: string, place: Placed | null, { set, horizon }: Around): boolean {
  if (horizon === null || place === null) return false
  if (set.policy.kind !== 'id') return liesBefore({ to: place.span.to, toIsExact: place.toIsExact }, horizon.position)
  const newest = set.newestIn.get(oid)
  return typeof newest === 'bigint' && newest < horizon.position
}

function placeOf(boundsText: string, { policy }: SetOverview): Placed | null {
  const bounds = parseBounds(boundsText)
  return bounds?.kind === 'range' ? spanOf(policy.kind, bounds) : null
}

function removedSpan({ from, to }: RemovedPartition, { policy }: SetOverview): Span | null {
  if (from === null && to === null) return null
  return spanOf(policy.kind, { kind: 'range', from, to })?.span ?? null
}

/** Of ids: a place in the last partition that is not empty. */
function lastFilled(partitions: readonly PartitionSize[], spans: readonly (Span | null)[]): Position | null {
  const filled = spans.flatMap((span, i) => {
    const place = span === null ? null : (span.from ?? (span.to === null ? null : span.to - 1n))
    return place === null || partitions[i]?.empty !== false ? [] : [place]
  })
  return filled.reduce<Position | null>((last, place) => (last === null || place > last ? place : last), null)
}

function runwayOf(spans: readonly Span[], here: Position | null): SeenSet['runway'] {
  if (spans.some(({ to }) => to === null) && here === null) return null
  const ends = spans.flatMap(({ to }) => (to === null ? [] : [to]))
  if (here === null)
    return ends.reduce<Position | 'missing'>((last, to) => (last === 'missing' || to > last ? to : last), 'missing')
  const until = coveredUntil(spans, here)
  return until === here ? 'missing' : until
}

function inOrder(a: SeenPartition, b: SeenPartition): number {
  if (a.span === null || b.span === null) return a.span === b.span ? 0 : a.span === null ? 1 : -1
  return byStart(a.span, b.span)
}
