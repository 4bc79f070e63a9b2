import type { PartitionedTable } from '../../catalog/partitions/partitioned-table.ts'
import type { Span } from '../../grid/gaps.ts'
import { inferGrid, type Grid } from '../../grid/grid.ts'
import { displayInterval } from '../../grid/interval.ts'
import { isTimeKind, type KeyKind } from '../../grid/key.ts'
import { isWallClock } from '../../grid/key-kind.ts'
import { display } from '../../sql/names.ts'
import { defaultPremake, type SetPolicy, type Width } from '../language/policy.ts'
import type { Objection } from '../language/step.ts'

/** The policy of an unregistered set, derived from its partitions. */
export interface InferredPolicy {
  readonly policy: SetPolicy
  readonly evidence: string
}

/**
 * The policy that a set's latest partitions follow. It keeps all rows: the retention period cannot be derived.
 *
 * @param timezone the server's setting; the calendar may be in UTC or in this one
 */
export function inferPolicy(set: PartitionedTable, timezone: string): InferredPolicy | Objection {
  const { key, name } = set
  if (key === null) throw new Error(`${display(name)} has no key`)
  const grid = gridOf(set, key.kind, zones(key.kind, timezone))
  if (grid === null) return noGrid(set)
  const every: Width =
    grid.kind === 'id' ? { kind: 'ids', ids: grid.width } : { kind: 'interval', interval: grid.every }
  const zone = grid.kind === 'time' ? grid.timezone : 'UTC'
  return {
    policy: {
      column: key.column,
      kind: key.kind,
      timezone: zone,
      every,
      expireBy: null,
      keep: null,
      premake: defaultPremake(every),
    },
    evidence: `no registered policy; from the latest partitions: by ${key.column}, ${describeEvery(every)}, ${isTimeKind(key.kind) ? `time zone ${zone}, ` : ''}${defaultPremake(every)} ahead`,
  }
}

export function describeEvery(every: Width): string {
  return every.kind === 'ids' ? `${every.ids} ids a partition` : `one every ${displayInterval(every.interval)}`
}

/** `by created_at, every 1 month (UTC), premake 3, keep 90 days`. */
export function describePolicy({ column, every, expireBy, keep, premake, timezone, grace }: SetPolicy): string {
  const kept = keep === null ? 'keep all' : `keep ${displayInterval(keep)}`
  const later = grace === undefined ? '' : `, grace ${displayInterval(grace)}`
  const expiry = expireBy === null ? '' : ` by ${expireBy}`
  return `by ${column}, every ${showWidth(every)} (${timezone}), premake ${premake}, ${kept}${expiry}${later}`
}

function showWidth(every: Width): string {
  return every.kind === 'ids' ? `${every.ids} ids` : displayInterval(every.interval)
}

// Local times have their bounds at midnight in every zone; the server's is the most likely.
function zones(kind: KeyKind, timezone: string): string[] {
  const both = isTimeKind(kind) && isWallClock(kind) ? [timezone, 'UTC'] : ['UTC', timezone]
  return [...new Set(both)]
}

function gridOf({ partitions }: PartitionedTable, kind: KeyKind, timezones: readonly string[]): Grid | null {
  const spans = partitions.flatMap(({ range, detachPending }) => (range === null || detachPending ? [] : [range]))
  return inferGrid(kind, spans, timezones) ?? inferGrid(kind, consecutive(spans), timezones)
}

/** The latest adjacent partitions; none if there is only one, because that would be a guess. */
function consecutive(spans: readonly Span[]): Span[] {
  const bounded = spans.filter(({ from, to }) => from !== null && to !== null)
  let first = bounded.length - 1
  while (first > 0 && bounded[first - 1]?.to === bounded[first]?.from) first--
  return bounded.length - first < 2 ? [] : bounded.slice(first)
}

function noGrid({ name }: PartitionedTable): Objection {
  return {
    code: 'no-grid',
    what: `the latest partitions of ${display(name)} follow no calendar and have no common width, so the next one cannot be derived`,
    fix: 'Make the last two partitions adjacent and of equal width (an hour, day, week, month, quarter, year or a multiple, or the same number of ids); rotate continues from there.',
    acceptable: false,
  }
}
