import { endRun } from '../../journal/journal.ts'
import { forgetSet } from '../../journal/sets.ts'
import type { RollbackPlan } from '../../plan/partition/rollback.ts'
import { executeRun, type ExecuteOptions } from '../execute.ts'
import type { EngineOptions } from '../options.ts'
import type { TableContext } from '../table-context.ts'
import type { RunResult } from './result.ts'

export interface StoredRollback extends RollbackPlan {
  /** The run that is rolled back. */
  readonly of: string
}

/** Takes a roll-back that was agreed to, to its end. */
export async function carryBack(
  runId: string,
  plan: StoredRollback,
  context: TableContext,
  options: EngineOptions,
): Promise<RunResult> {
  const { session, journalSchema } = context
  const alongside: ExecuteOptions['alongside'] = {
    'swap-back': () => [
      forgetSet(session, journalSchema, plan.table),
      endRun(session, journalSchema, plan.of, 'rolled back', null),
    ],
  }
  const steps = await executeRun(runId, plan.steps, context, { alongside, lockLimits: options.lockLimits })
  await endRun(session, journalSchema, runId, 'done', { steps })
  return { runId, plan, steps }
}
