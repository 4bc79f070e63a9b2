import type { EngineOptions } from '../../src/engine/partition.ts'
import type { PartitionRequest } from '../../src/plan/request.ts'
import type { Event } from '../../src/report/events.ts'
import type { TableName } from '../../src/sql/names.ts'
import type { WrittenName } from '../../src/sql/parse-name.ts'

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
