import { expect } from 'vitest'
import type { PurgeResult } from '../../src/engine/commands/purge.ts'
import type { EngineOptions } from '../../src/engine/options.ts'
import type { MarkRequest } from '../../src/plan/purge/mark.ts'
import type { CandidateRows, MatchingRows, PurgeRequest, RowSource } from '../../src/plan/purge/request.ts'
import { quoted, type TableName } from '../../src/sql/names.ts'
import { raw, sql } from '../../src/sql/sql.ts'
import type { Database } from './database.ts'
import { quietly, written } from './tool.ts'
import { purge } from './commands.ts'

export { batchesOf } from './batches.ts'

/** A request to delete rows: those that match a condition, or those of another source. Without a vacuum, which few tests are about. */
export function purgeRequest(rows: string | RowSource, overrides: Partial<PurgeRequest> = {}): PurgeRequest {
  return {
    rows: typeof rows === 'string' ? matching(rows) : rows,
    orderBy: null,
    allRows: false,
    vacuum: false,
    noArchive: true,
    cascade: false,
    protect: [],
    accept: [],
    ...overrides,
  }
}

export function matching(where: string): MatchingRows {
  return { kind: 'matching', where }
}

/** The rows of the candidate set that a run has recorded. */
export function candidatesOf(runId: string | null, approvedBy: string | null = null): CandidateRows {
  return { kind: 'candidates', set: runId ?? '', approvedBy, ticket: null }
}

/** A request to mark the rows that match, without a vacuum. */
export function markRequest(where: string, column: string, overrides: Partial<MarkRequest> = {}): MarkRequest {
  return { rows: matching(where), column, allRows: false, vacuum: false, ...overrides }
}

export function purgeRows(
  database: Database,
  table: TableName,
  request: PurgeRequest,
  options: Partial<EngineOptions> = {},
): Promise<PurgeResult> {
  return purge(database.url, written(table), request, quietly(options))
}

/** How many rows there are, and what they hold. */
export interface Content {
  readonly rows: number
  readonly hash: string
}

/** Of all rows, or of those where a condition is not true. */
export async function contentOf(database: Database, table: TableName, except = 'false'): Promise<Content> {
  const { rows } = await database.admin<Content & Record<string, unknown>>(
    sql`select count(*)::int as rows, coalesce(sum(hashtextextended(t::text, 0)), 0)::text as hash from ${quoted(table)} t where (${raw(except)}\n) is not true`,
  )
  return rows[0] ?? { rows: -1, hash: '' }
}

/** Purges, and makes sure that exactly the rows asked for have gone, and that the journal knows of each. */
export async function expectPurged(
  database: Database,
  table: TableName,
  request: PurgeRequest,
  options: Partial<EngineOptions> = {},
): Promise<PurgeResult> {
  if (request.rows.kind !== 'matching') throw new Error('the rows are not selected by a condition')
  const before = await contentOf(database, table)
  const kept = await contentOf(database, table, request.rows.where)
  const result = await purgeRows(database, table, request, options)
  expect(await contentOf(database, table)).toEqual(kept)
  expect(kept.rows).toBeLessThan(before.rows)
  expect(result.figures?.rows).toBe(before.rows - kept.rows)
  expect(result.remaining).toMatchObject({ matching: 0, held: 0, reasons: [] })
  return result
}
