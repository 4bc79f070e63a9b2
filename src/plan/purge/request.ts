import type { WrittenName } from '../../sql/parse-name.ts'
import type { StaleGroups } from './stale.ts'

/** The user's request. */
export interface PurgeRequest {
  /** The rows to delete, as after WHERE. */
  readonly where: string
  /** Walks an index that begins with this column. */
  readonly orderBy: string | null
  /** A condition that is true of every row is intended. */
  readonly allRows: boolean
  /** The tables touched are vacuumed and analysed at the end. */
  readonly vacuum: boolean
  /** The rows are deleted without an archive. */
  readonly noArchive: boolean
  /** Rows of other tables that reference them are deleted, too. */
  readonly cascade: boolean
  /** Tables of which no row may be touched. */
  readonly protect: readonly WrittenName[]
  /** Codes of objections accepted by the user. */
  readonly accept: readonly string[]
  /** Instead of a condition: the rows of a candidate set. `where` is empty then. */
  readonly candidates?: CandidateChoice
  /** Instead of a condition: the rows of groups without activity. `where` is empty then. */
  readonly stale?: StaleGroups
}

/** A candidate set by the number of its run, and who deletes its rows. */
export interface CandidateChoice {
  readonly set: string
  readonly approvedBy: string | null
  readonly ticket: string | null
}
