import type { Sql } from '../../sql/sql.ts'

/** A part of a leaf. Positions are outside at the beginning and inside at the end. */
export interface BatchRange {
  readonly after: Sql | null
  readonly upto: Sql | null
}
