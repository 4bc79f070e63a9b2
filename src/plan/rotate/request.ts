import type { Interval } from '../../grid/interval.ts'
import type { ArchiveRequest } from '../archive/request.ts'
import type { SetPolicy } from '../language/policy.ts'
import type { WrittenName } from '../../sql/parse-name.ts'

/** What happens to a partition whose rows have all expired. */
export type Retire = 'drop' | 'detach' | 'truncate' | 'move' | 'columnar'

/** The request of a rotation. */
export interface RotateRequest {
  /** `all`: every registered set. */
  readonly tables: readonly WrittenName[] | 'all'
  /** Overrides the retention of the policy once; a set registered by this rotation keeps it. */
  readonly keep: Interval | null
  readonly retire: Retire
  /** The foreign server that partitions are moved to; missing where they are not. */
  readonly to?: string
  /** How long moved partitions stay on the other server, by the age of their rows; missing: for good. */
  readonly keepMoved?: Interval
  /** How long detached partitions stay before they are dropped; null: as the policy says. */
  readonly grace: Interval | null
  /** Where rows are archived before they are removed; null without. */
  readonly archive: ArchiveRequest | null
  /** Rows may be removed without an archive. */
  readonly noArchive: boolean
  /** Instead of rotating, the tables are unregistered. */
  readonly forget: boolean
  /** Works by this policy instead of the registered one. */
  readonly policy?: SetPolicy
  /** Why nothing is retired now; partitions are created ahead all the same. */
  readonly notNow?: string
  /** Codes of accepted objections. */
  readonly accept: readonly string[]
}
