import type { Interval } from '../../grid/interval.ts'
import type { KeyKind } from '../../grid/key.ts'

/** How wide a partition is to be: a stretch of time, or so many ids. */
export type Width =
  { readonly kind: 'interval'; readonly interval: Interval } | { readonly kind: 'ids'; readonly ids: bigint }

/** What the user asked for, complete and checked as far as can be without the database. */
export interface PartitionRequest {
  readonly by: string
  readonly every: Width
  /** The time column by which rows of a table partitioned by id expire. */
  readonly expireBy: string | null
  readonly keep: Interval | null
  /** Partitions ahead of now; null for what suits the width. */
  readonly premake: number | null
  readonly timezone: string
  /** Codes of objections the user has accepted. */
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
}

const PREMAKE_BY_UNIT = { hour: 48, day: 14, week: 6, month: 3, quarter: 2, year: 1 } as const
const PREMAKE_IDS = 3

/** How many partitions ahead suit a width: enough to survive a long weekend without a rotation, few enough to plan over. */
export function defaultPremake(every: Width): number {
  return every.kind === 'ids' ? PREMAKE_IDS : PREMAKE_BY_UNIT[every.interval.unit]
}
