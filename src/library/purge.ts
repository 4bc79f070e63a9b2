import { purge as command, type PurgeResult } from '../engine/commands/purge.ts'
import type { PurgePlan } from '../plan/purge/purge.ts'
import { PURGE, resolvePurge } from '../requests/purge.ts'
import { answersOf, call, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { ArchivingOptions, Options, PaceOptions } from './options.ts'

/** Which rows are deleted, and how. */
export interface PurgeOptions extends Options, ArchivingOptions {
  readonly table: Table
  readonly pace?: PaceOptions
  /** The rows to delete, as after WHERE; `now()` is fixed once, at the start. One of `where`, `candidates` and `marked` is given. */
  readonly where?: string
  /** The rows of a candidate set that have not changed since; the approval is recorded. */
  readonly candidates?: { readonly set: number | bigint; readonly approvedBy?: string; readonly ticket?: string }
  /** The rows that `mark` has marked in a column, or of them those marked longer ago. */
  readonly marked?: { readonly column: string; readonly olderThan?: string }
  /** Archives the rows first: a directory, `file:///dir` or `s3://bucket/prefix?region=…`. This or `noArchive` is required. */
  readonly archive?: string
  /** Deletes the rows without an archive. */
  readonly noArchive?: boolean
  /** What the journal says of the table is kept for longer than 400 days, from now on: `7 years`. */
  readonly keepJournal?: string
  /** Also deletes rows of other tables that reference them. Without it, referenced rows are skipped. */
  readonly cascade?: boolean
  /** Tables of which no row is touched: rows leading to one are skipped and reported. */
  readonly protect?: readonly Table[]
  /** Walks an index that begins with this column; not with `candidates`. */
  readonly orderBy?: string
  /** Allows a condition that is true of every row. */
  readonly allRows?: boolean
  /** Vacuums and analyzes the tables touched at the end; true by default. */
  readonly vacuum?: boolean
  /** How long to retry locked rows, and to wait for a locked table; a minute by default. */
  readonly deadlineMs?: number
  /** Waits for another run on the same table: `10 minutes`, milliseconds, or true, as long as for a locked table. */
  readonly wait?: string | number | true
}

/**
 * Deletes rows in batches, each one short transaction; called again after an
 * interruption it resumes.
 *
 * @throws {ObjectionsError} with `execute`, when there are blocking issues; without, they are in the plan
 */
export const purge: Call<PurgeOptions, PurgePlan, PurgeResult> = call(PURGE, async (asked) => {
  const { table, request } = await resolvePurge(asked.target, asked.values.table, asked.request, asked.engine)
  return answersOf(asked, table, command, request)
})
