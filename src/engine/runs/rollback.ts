import type { Target } from '../../db/session.ts'
import type { Run } from '../../journal/journal.ts'
import { REVERSIBLE, rollback as command, type StoredRollback } from '../commands/rollback.ts'
import { readPatiently } from '../locks/patiently.ts'
import type { EngineOptions } from '../options.ts'
import { planCommand } from '../plan-command.ts'
import { carryOut } from '../run.ts'
import { findRun, type RunChoice } from './find-run.ts'
import { assertInPlace } from './in-place.ts'
import { readLeftBehind } from './left-behind.ts'
import type { RunResult } from './take-back.ts'

/** Plans the rollback of a finished run. */
export async function planRollbackOf(
  target: Target,
  choice: RunChoice,
  options: EngineOptions,
): Promise<StoredRollback & { readonly runId: string }> {
  const run = await findReversible(target, choice, options)
  return { ...(await planCommand(target, run.table, command, { of: run.id }, options)), runId: run.id }
}

/**
 * Rolls back a finished run, or resumes an interrupted rollback.
 *
 * @throws {ObjectionsError} if rows would be lost
 */
export async function rollback(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const run = await findReversible(target, choice, options)
  return carryOut(target, run.table, command, { of: run.id }, options)
}

async function findReversible(target: Target, choice: RunChoice, options: EngineOptions): Promise<Run> {
  const { run } = await findRun(target, choice, options, REVERSIBLE)
  await readPatiently(target, 'find table', options, (session) => {
    const find = async () => (await readLeftBehind(session, options.journalSchema, run.id))[0]?.captured ?? null
    return assertInPlace(session, run.table, find, 'There is nothing to roll back.')
  })
  return run
}
