import type { Interval } from '../../grid/interval.ts'
import type { WrittenName } from '../../sql/parse-name.ts'

/** What becomes of a partition all of whose rows have expired. */
export type Retire = 'drop' | 'detach' | 'truncate'

/** What the user asked of a rotation. */
export interface RotateRequest {
  /** `all`: every set that the journal knows. */
  readonly tables: readonly WrittenName[] | 'all'
  /** Instead of what the policy keeps, for this once; a set that becomes registered by it keeps it. */
  readonly keep: Interval | null
  readonly retire: Retire
  /** Rows may be removed without being stored elsewhere first. */
  readonly noArchive: boolean
  /** Codes of objections that the user has accepted. */
  readonly accept: readonly string[]
}
