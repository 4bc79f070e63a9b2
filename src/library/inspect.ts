import * as inspecting from '../engine/commands/inspect.ts'
import { INSPECT } from '../requests/inspect.ts'
import { readCall } from './call.ts'
import type { Database, Table } from './database.ts'
import type { Options } from './options.ts'
import { forJson } from './plain-json.ts'

/**
 * Inspects a table: its size, dependent objects, candidate keys, and the risks.
 *
 * @throws {UsageError} when there is no such table
 */
export async function inspect(database: Database, table: Table, options: Options = {}): Promise<inspecting.Inspection> {
  const { target, values, engine } = readCall(database, INSPECT, { ...options, table })
  return forJson(await inspecting.inspect(target, values.table, engine))
}
