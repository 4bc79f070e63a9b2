import * as advising from '../engine/commands/advise.ts'
import type { WaysAdvice } from '../plan/advise/advise.ts'
import { ADVISE } from '../requests/advise.ts'
import { readCall } from './call.ts'
import type { Database, Table } from './database.ts'
import type { Options } from './options.ts'
import { forJson } from './plain-json.ts'

/** Which rows would be kept or removed. */
export interface AdviseOptions extends Options {
  readonly table: Table
  /** The rows to keep, as after WHERE. */
  readonly keep?: string
  /** Removes older rows; excludes `keep`. */
  readonly olderThan?: string
}

/**
 * Compares partitioning, rebuilding and deleting: what each would cost, its effects on others, and which to take.
 *
 * @throws {UsageError} when an option cannot be understood, or there is no such table
 */
export async function advise(database: Database, options: AdviseOptions): Promise<WaysAdvice> {
  const { target, values, request, engine } = readCall(database, ADVISE, options)
  return forJson(await advising.advise(target, values.table, request, engine))
}
