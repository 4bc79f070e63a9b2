import { calendarKind } from '../../catalog/table/calendar-kind.ts'
import type { Partition, PartitionedTable, PartitionRange } from '../../catalog/partitions/partitioned-table.ts'
import { minus } from '../../grid/grid.ts'
import type { Interval } from '../../grid/interval.ts'
import { displayPosition, positionOf, type KeyKind, type Position } from '../../grid/key.ts'
import type { Newest } from './begun.ts'
import type { SetPolicy } from '../language/policy.ts'

/** The instant before which rows have expired, as a value of the expiry column. */
export interface Horizon {
  readonly position: Position
  readonly kind: KeyKind
  readonly timezone: string
  readonly keep: Interval
  /** For display. */
  readonly shown: string
}

/** The server's current time minus the retention period, by the calendar of the set's time zone. */
export function horizonOf(kind: KeyKind, timezone: string, now: bigint, keep: Interval): Horizon {
  const position = minus(positionOf(kind, now, timezone), keep, kind, timezone)
  return { position, kind, timezone, keep, shown: displayPosition(kind, position, timezone) }
}

/** Whether a retention period removes rows that another one keeps. */
export function isShorter(
  keep: Interval,
  than: Interval,
  { kind, timezone }: Pick<Horizon, 'kind' | 'timezone'>,
  now: bigint,
) {
  return horizonOf(kind, timezone, now, keep).position > horizonOf(kind, timezone, now, than).position
}

/** The kind of the expiry column of a set: its key, or by id the column in its policy. Null if that is not a time. */
export function expiryKind(set: PartitionedTable, policy: SetPolicy): KeyKind | null {
  if (policy.kind !== 'id') return policy.kind
  return calendarKind(set.columns.find(({ name }) => name === policy.expireBy)?.type ?? '')
}

/** Whether a range is entirely before the horizon, to the microsecond. */
export function liesBefore({ to, toIsExact }: Pick<PartitionRange, 'to' | 'toIsExact'>, horizon: Position): boolean {
  return to !== null && (toIsExact ? to <= horizon : to < horizon)
}

/** By time: the partitions whose every possible row has expired. */
export function expiredByBounds(partitions: readonly Partition[], horizon: Position): Partition[] {
  return partitions.filter(({ range }) => range !== null && liesBefore(range, horizon))
}

/** Whether a partition by id no longer receives rows: ids have grown past it. */
export function isClosed({ range }: Partition, head: Position | null): boolean {
  return head !== null && range !== null && range.to !== null && range.to <= head
}

/**
 * By id: the closed partitions whose newest row has expired. An empty one is retired only together with a later one:
 * reserved ids may still be used.
 */
export function expiredByAge(
  partitions: readonly Partition[],
  head: Position | null,
  newestIn: ReadonlyMap<string, Newest>,
  horizon: Position,
): Partition[] {
  const closed = partitions.filter((partition) => isClosed(partition, head))
  const old = closed.filter(({ oid }) => {
    const newest = newestIn.get(oid)
    return typeof newest === 'bigint' && newest < horizon
  })
  const last = old.at(-1)
  const lastIndex = last === undefined ? -1 : closed.indexOf(last)
  return closed.filter(
    (partition, i) => old.includes(partition) || (i < lastIndex && newestIn.get(partition.oid) === 'empty'),
  )
}
