import { archive as command, type ArchiveResult } from '../engine/commands/archive.ts'
import type { Plan } from '../plan/language/step.ts'
import { ARCHIVE } from '../requests/archive.ts'
import { callOf, type Call } from './call.ts'
import type { Table } from './database.ts'
import type { ArchivingOptions, LockOptions, Options } from './options.ts'

/** Which rows are archived, and where. */
export interface ArchiveOptions extends Options, LockOptions, ArchivingOptions {
  readonly table: Table
  /** The rows to archive, as after WHERE; all by default. `now()` is fixed once, at the start. */
  readonly where?: string
  /** A directory, `file:///dir` or `s3://bucket/prefix?region=…`. */
  readonly archive: string
}

/**
 * Stores rows elsewhere, with a receipt, and removes nothing.
 *
 * @throws {ObjectionsError} with `execute`, when there are blocking issues; without, they are in the plan
 */
export const archive: Call<ArchiveOptions, Plan, ArchiveResult> = callOf(command, ARCHIVE)
