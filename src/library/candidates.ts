import type { Writable } from 'node:stream'
import * as reviewing from '../engine/purge/candidate-review.ts'
import { candidates as command, type CandidatesResult } from '../engine/commands/candidates.ts'
import type { StoredSet } from '../journal/candidates.ts'
import type { CandidatePlan, CandidateRequest } from '../plan/purge/candidates.ts'
import { nonEmpty } from './checks.ts'
import { callOf } from './call.ts'
import { targetOf, type Database, type Table } from './database.ts'
import { complete, type Options, type PaceOptions } from './options.ts'

/** Which rows are written down. */
export interface CandidateOptions extends Options {
  readonly table: Table
  readonly pace?: PaceOptions
  /** The rows to write down, as after WHERE; `now()` is fixed once, at the start. */
  readonly where: string
}

/**
 * Writes the keys of rows into a candidate set, for `purge` to delete later
 * those that have not changed since. No row is touched.
 *
 * @throws {ObjectionsError} with `execute`, when there are reasons not to start; without, they are in the plan
 */
export const candidates = callOf<CandidateOptions, CandidateRequest, CandidatePlan, CandidatesResult>(
  command,
  ({ where }) => ({ where: nonEmpty(where) }),
)

/** Candidate sets, the latest first. */
export async function candidateSets(database: Database, options: Options = {}): Promise<StoredSet[]> {
  return reviewing.candidateSets(targetOf(database), complete(options))
}

/** Some rows of a candidate set, at random and as they are now, each as JSON text. */
export async function sampleCandidates(
  database: Database,
  set: number | bigint,
  rows: number,
  options: Options = {},
): Promise<string[]> {
  return reviewing.sampleCandidates(targetOf(database), String(set), rows, complete(options))
}

/** The keys of a candidate set as CSV with a header; the stream is ended. */
export async function exportCandidates(
  database: Database,
  set: number | bigint,
  to: Writable,
  options: Options = {},
): Promise<void> {
  return reviewing.exportCandidates(targetOf(database), String(set), to, complete(options))
}

/** Notes who wants the candidates gone, and under which ticket. */
export async function approveCandidates(
  database: Database,
  set: number | bigint,
  approval: { readonly approvedBy?: string; readonly ticket?: string },
  options: Options = {},
): Promise<StoredSet> {
  const { approvedBy = null, ticket = null } = approval
  return reviewing.approveCandidates(targetOf(database), String(set), { approvedBy, ticket }, complete(options))
}

/** Lets a candidate set go; its rows stay. */
export async function dropCandidates(
  database: Database,
  set: number | bigint,
  options: Options = {},
): Promise<StoredSet> {
  return reviewing.dropCandidates(targetOf(database), String(set), complete(options))
}
