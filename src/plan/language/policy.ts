import type { Interval } from '../../grid/interval.ts'
import type { KeyKind } from '../../grid/key.ts'

/** The width of a partition: an interval of time, or a number of ids. */
export type Width =
  { readonly kind: 'interval'; readonly interval: Interval } | { readonly kind: 'ids'; readonly ids: bigint }

/** The user's request, complete and checked as far as possible without the database. */
export interface PartitionRequest {
  readonly by: string
  readonly every: Width
  /** The time column by which rows of a table partitioned by id expire. */
  readonly expireBy: string | null
  readonly keep: Interval | null
  /** Partitions ahead of now; null for the default of the width. */
  readonly premake: number | null
  readonly timezone: string
  /** Codes of objections accepted by the user. */
  readonly accept: readonly string[]
}

/** The policy of a converted table, as the journal keeps it for `rotate`. */
export interface SetPolicy {
  readonly column: string
  readonly kind: KeyKind
  readonly timezone: string
  /** The grid: an interval for times, a width for ids. */
  readonly every: Width
  readonly expireBy: string | null
  readonly keep: Interval | null
  readonly premake: number
  /** How long detached partitions stay before they are dropped; without it they do not. */
  readonly grace?: Interval
}

const PREMAKE_BY_UNIT = { hour: 48, day: 14, week: 6, month: 3, quarter: 2, year: 1 } as const
const PREMAKE_IDS = 3

/** The default premake for a width: enough to survive a long weekend without a rotation, few enough for the planner. */
export function defaultPremake(every: Width): number {
  return every.kind === 'ids' ? PREMAKE_IDS : PREMAKE_BY_UNIT[every.interval.unit]
}
