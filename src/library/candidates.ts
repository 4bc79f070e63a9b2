import type { Writable } from 'node:stream'
import { candidates as command, type CandidatesResult } from '../engine/commands/candidates.ts'
import * as reviewing from '../engine/purge/candidates/review.ts'
import type { StoredSet } from '../journal/candidates.ts'
import type { CandidatePlan } from '../plan/purge/candidates.ts'
import { CANDIDATES } from '../requests/purge.ts'
import { ONE_SET, REVIEW } from '../requests/review.ts'
import { callOf, readCall, type Call } from './call.ts'
import type { Database, Table } from './database.ts'
import type { Options, PaceOptions } from './options.ts'

/** Which rows are recorded. */
export interface CandidateOptions extends Options {
  readonly table: Table
  readonly pace?: PaceOptions
  /** The rows to record, as after WHERE; `now()` is fixed once, at the start. */
  readonly where: string
  /** How long to wait for a locked table; a minute by default. */
  readonly deadlineMs?: number
  /** Waits for another run on the same table: `10 minutes`, milliseconds, or true, as long as for a locked table. */
  readonly wait?: string | number | true
}

/**
 * Records the keys of rows in a candidate set, for `purge` to delete later those
 * that have not changed since. No row is touched.
 *
 * @throws {ObjectionsError} with `execute`, when there are blocking issues; without, they are in the plan
 */
export const candidates: Call<CandidateOptions, CandidatePlan, CandidatesResult> = callOf(command, CANDIDATES)

/** Candidate sets, the latest first. */
export async function candidateSets(database: Database, options: Options = {}): Promise<StoredSet[]> {
  const { target, engine } = readCall(database, REVIEW, options)
  return reviewing.candidateSets(target, engine)
}

/** Some rows of a candidate set, at random and as they are now, each as JSON text. */
export async function sampleCandidates(
  database: Database,
  set: number | bigint,
  rows: number,
  options: Options = {},
): Promise<string[]> {
  const { target, values, engine } = readCall(database, ONE_SET, { ...options, set, rows })
  return reviewing.sampleCandidates(target, values.set, values.rows, engine)
}

/** The keys of a candidate set as CSV with a header; the stream is ended. */
export async function exportCandidates(
  database: Database,
  set: number | bigint,
  to: Writable,
  options: Options = {},
): Promise<void> {
  const { target, values, engine } = readCall(database, ONE_SET, { ...options, set })
  return reviewing.exportCandidates(target, values.set, to, engine)
}

/** Records who has approved the deletion, and the ticket. */
export async function approveCandidates(
  database: Database,
  set: number | bigint,
  approval: { readonly approvedBy?: string; readonly ticket?: string },
  options: Options = {},
): Promise<StoredSet> {
  const { target, values, engine } = readCall(database, ONE_SET, { ...options, ...approval, set })
  return reviewing.approveCandidates(target, values.set, values, engine)
}

/** Drops a candidate set; its rows stay. */
export async function dropCandidates(
  database: Database,
  set: number | bigint,
  options: Options = {},
): Promise<StoredSet> {
  const { target, values, engine } = readCall(database, ONE_SET, { ...options, set })
  return reviewing.dropCandidates(target, values.set, engine)
}
