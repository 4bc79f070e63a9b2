import { setTimeout } from 'node:timers/promises'
import { readTable } from '../../src/catalog/table/read-table.ts'
import type { TableModel } from '../../src/catalog/table/table-model.ts'
import { withSession } from '../../src/db/session.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import { EbbError } from '../../src/errors.ts'
import type { Database } from './database.ts'
import type { PartitionRequest } from '../../src/plan/language/policy.ts'
import type { Event } from '../../src/events.ts'
import type { TableName } from '../../src/sql/names.ts'
import type { WrittenName } from '../../src/sql/parse-name.ts'
import { PATIENCE_MS } from './until.ts'

/** What a test hands to the library: nobody aborts, and what happens is kept. */
export function quietly(overrides: Partial<EngineOptions> = {}): EngineOptions & { readonly events: readonly Event[] } {
  const events: Event[] = []
  return {
    journalSchema: 'ebb',
    observer: (event) => void events.push(event),
    signal: new AbortController().signal,
    ...overrides,
    events,
  }
}

/** A request by `created_at`, one partition a month. */
export function monthly(overrides: Partial<PartitionRequest> = {}): PartitionRequest {
  return {
    by: 'created_at',
    every: { kind: 'interval', interval: { count: 1, unit: 'month' } },
    expireBy: null,
    keep: { count: 90, unit: 'day' },
    premake: null,
    timezone: 'UTC',
    accept: [],
    ...overrides,
  }
}

/** The name as a user would have written it. */
export function written({ schema, name }: TableName): WrittenName {
  return { schema, name }
}

/** A table as it is now. */
export async function modelOf(database: Database, table: TableName): Promise<TableModel> {
  const model = await withSession(database.url, 'look', (session) => readTable(session, table, database.version))
  if (model === undefined) throw new Error('the table is gone')
  return model
}

/** Whether the tool says: try again later. */
export function isToBeRepeated(error: unknown): boolean {
  return error instanceof EbbError && error.kind === 'try later'
}

/** What a user does who is told to try again later, for instance while the server still winds up what was killed. */
export async function persevere<T>(command: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await command()
    } catch (error) {
      if (!isToBeRepeated(error) || performance.now() > deadline) throw error
      await setTimeout(100)
    }
  }
}
