import * as inspecting from '../engine/commands/inspect.ts'
import { targetOf, writtenName, type Database, type Table } from './database.ts'
import { complete, type Options } from './options.ts'

/**
 * Looks at a table: what it is, what depends on it, how it could be partitioned, what could go wrong.
 *
 * @throws {UsageError} when there is no such table
 */
export async function inspect(database: Database, table: Table, options: Options = {}): Promise<inspecting.Inspection> {
  return inspecting.inspect(targetOf(database), writtenName(table), complete(options))
}
