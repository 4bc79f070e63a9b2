import type pg from 'pg'
import type { Database } from '../library/database.ts'
import { applyPolicy, type ApplyPolicyOptions } from '../library/apply-policy.ts'
import { archive, type ArchiveOptions } from '../library/archive.ts'
import type { Call } from '../library/call.ts'
import { mark, type MarkOptions } from '../library/mark.ts'
import type { DatabaseOptions } from '../library/options.ts'
import { partition, type PartitionCopyOptions, type PartitionOptions } from '../library/partition.ts'
import { purgeStale, type StaleOptions } from '../library/purge-stale.ts'
import { purge, type PurgeOptions } from '../library/purge.ts'
import { rebuild, type RebuildOptions } from '../library/rebuild.ts'
import { rotate, type RotateOptions } from '../library/rotate.ts'
import { split, type SplitOptions } from '../library/split.ts'
import { view, type ViewOptions } from '../library/view.ts'
import { EbbError, ObjectionsError } from '../errors.ts'
import type { RotationReport } from '../engine/commands/rotate.ts'
import type { PurgeResult } from '../engine/commands/purge.ts'
import { showRows } from '../text/units.ts'

/** What a migration can call. */
export interface MigrationContext {
  readonly partition: MigrationCall<PartitionOptions | PartitionCopyOptions>
  readonly rebuild: MigrationCall<RebuildOptions>
  readonly split: MigrationCall<SplitOptions>
  readonly rotate: MigrationCall<RotateOptions>
  readonly purge: MigrationCall<PurgeOptions>
  readonly purgeStale: MigrationCall<StaleOptions>
  readonly mark: MigrationCall<MarkOptions>
  readonly view: MigrationCall<ViewOptions>
  readonly archive: MigrationCall<ArchiveOptions>
  /** Puts the policy of a table in force. */
  readonly policy: MigrationCall<ApplyPolicyOptions>
  /** For `down`: takes back what the calls of `up` have done, the last first. */
  rollback(): Promise<void>
  /** One statement of your own, in a session with the settings of your role. */
  query(text: string, values?: readonly unknown[]): Promise<pg.QueryResult>
  /** Aborted when the user wants it to stop. */
  readonly signal: AbortSignal
}

/** Executes it. A call that is done is not repeated when the migration is run again, and one under way is continued. */
export type MigrationCall<Options> = (options: Own<Options>) => Promise<CallResult>

/** A distributive Omit: the rest is the same for all calls. */
type Own<Options> = Options extends unknown ? Omit<Options, keyof DatabaseOptions | 'execute'> : never

export interface CallResult {
  /** Null where there was nothing to do, or the command has no runs. */
  readonly runId: string | null
}

/** The commands that a migration can call, each by its function in the library. */
export const CALLS = {
  partition: executing(partition),
  rebuild: executing(rebuild),
  split: executing(split),
  rotate: async (database: Database, options: object) => {
    assertRotated(await executing(rotate)(database, options))
    return { runId: null }
  },
  purge: async (database: Database, options: object) => assertPurged(await executing(purge)(database, options)),
  purgeStale: async (database: Database, options: object) => {
    await executing(purgeStale)(database, options)
    return { runId: null }
  },
  mark: executing(mark),
  view: executing(view),
  archive: executing(archive),
  policy: async (database: Database, options: object) => {
    await applyPolicy(database, { ...(options as ApplyPolicyOptions), execute: true })
    return { runId: null }
  },
}

export type CallName = keyof typeof CALLS

function executing<Given, Plan, Outcome>(call: Call<Given, Plan, Outcome>) {
  return (database: Database, options: object) => call(database, { ...(options as Given), execute: true })
}

/** What a report has of failures. @throws the first of them */
function assertRotated({ sets, retired, stopped }: RotationReport): void {
  const [failure] = [...sets, retired].flatMap(({ failed }) => failed)
  if (failure !== undefined) throw failure.error
  const refused = sets.flatMap(({ plan }) => plan ?? []).find(({ objections }) => objections.length > 0)
  if (refused !== undefined) throw new ObjectionsError(refused.goal, refused)
  if (stopped)
    throw new EbbError(
      'stopped on request, between two tables',
      { state: 'What was done before is kept.', next: 'Run the same command again.' },
      'stopped',
    )
}

/** @throws {EbbError} where rows were left because they stayed locked */
function assertPurged({ runId, figures }: PurgeResult): CallResult {
  const locked = figures?.locked ?? 0
  if (locked === 0) return { runId }
  throw new EbbError(
    `${showRows(locked)} stayed locked and were left`,
    { state: 'All others have been deleted.', next: 'Run the same command again: it deletes what is left.' },
    'try later',
  )
}
