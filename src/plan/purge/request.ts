import type { ArchiveRequest } from '../archive/request.ts'
import type { WrittenName } from '../../sql/parse-name.ts'
import type { StaleGroups } from './stale.ts'

/** The user's request. */
export interface PurgeRequest {
  readonly rows: RowSource
  /** Walks an index that begins with this column. */
  readonly orderBy: string | null
  /** A condition that is true of every row is intended. */
  readonly allRows: boolean
  /** The tables touched are vacuumed and analysed at the end. */
  readonly vacuum: boolean
  /** The rows are deleted without an archive. */
  readonly noArchive: boolean
  /** They are archived first. */
  readonly archive?: ArchiveRequest
  /** Rows of other tables that reference them are deleted, too. */
  readonly cascade: boolean
  /** Tables of which no row may be touched. */
  readonly protect: readonly WrittenName[]
  /** Codes of objections accepted by the user. */
  readonly accept: readonly string[]
}

/** What selects the rows. */
export type RowSource = MatchingRows | CandidateRows | StaleRows

/** The rows that match a condition. */
export interface MatchingRows {
  readonly kind: 'matching'
  /** As after WHERE. */
  readonly where: string
}

/** The rows of a candidate set that have not changed since it was recorded. */
export interface CandidateRows {
  readonly kind: 'candidates'
  /** The number of the run that recorded it. */
  readonly set: string
  readonly approvedBy: string | null
  readonly ticket: string | null
}

/** The rows of groups without activity. */
export interface StaleRows extends StaleGroups {
  readonly kind: 'stale'
}
