import type { Target } from '../../db/session.ts'
import { REVERSIBLE, rollback as command, type StoredRollback } from '../commands/rollback.ts'
import type { EngineOptions } from '../options.ts'
import { carryOut, planCommand } from '../run.ts'
import { findRun, type RunChoice } from './find-run.ts'
import type { RunResult } from './take-back.ts'

/** What going back after a finished run would do. */
export async function planRollbackOf(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
): Promise<StoredRollback & { readonly runId: string }> {
  const { run } = await findRun(target, choice, options, REVERSIBLE)
  return { ...(await planCommand(target, run.table, command, { of: run.id }, options)), runId: run.id }
}

/**
 * Goes back after a finished run, or goes on with a rollback that was interrupted.
 *
 * @throws {ObjectionsError} when rows would be lost
 */
export async function rollback(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const { run } = await findRun(target, choice, options, REVERSIBLE)
  return carryOut(target, run.table, command, { of: run.id }, options)
}
