import * as advising from '../engine/commands/advise.ts'
import { UsageError } from '../errors.ts'
import { parseInterval } from '../grid/interval.ts'
import type { WaysAdvice } from '../plan/advise/advise.ts'
import { targetOf, writtenName, type Database, type Table } from './database.ts'
import { complete, type Options } from './options.ts'

/** Which rows would stay, or go. */
export interface AdviseOptions extends Options {
  readonly table: Table
  /** The rows worth keeping, as after WHERE. */
  readonly keep?: string
  /** Rows that are older are to go; not beside `keep`. */
  readonly olderThan?: string
}

/**
 * Compares partitioning, rebuilding and deleting: what each would cost, what it means for others, which to take.
 *
 * @throws {UsageError} when an option cannot be understood, or there is no such table
 */
export async function advise(database: Database, options: AdviseOptions): Promise<WaysAdvice> {
  const { keep, olderThan } = options
  if (keep !== undefined && olderThan !== undefined)
    throw new UsageError('keep and olderThan are both given', 'Give one of them, or neither.')
  const request = { keep: keep ?? null, olderThan: olderThan === undefined ? null : parseInterval(olderThan) }
  return advising.advise(targetOf(database), writtenName(options.table), request, complete(options))
}
