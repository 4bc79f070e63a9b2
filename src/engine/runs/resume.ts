import type { Target } from '../../db/session.ts'
import type { Run } from '../../journal/journal.ts'
import type { CandidatePlan } from '../../plan/candidates.ts'
import type { PartitionPlan } from '../../plan/partition.ts'
import type { PurgePlan } from '../../plan/purge.ts'
import type { RebuildPlan } from '../../plan/rebuild.ts'
import { fromStored } from '../../plan/stored.ts'
import type { ViewPlan } from '../../plan/view.ts'
import { assertLatest } from '../agreed.ts'
import { carryOutCandidates } from '../candidates.ts'
import { carryOutCopy, COPY_COMMANDS } from '../copy-run.ts'
import type { EngineOptions } from '../options.ts'
import { carryOut } from '../partition.ts'
import { carryOutPurge } from '../purge.ts'
import { carryOutView } from '../view.ts'
import { atWork, type Workplace } from '../workplace.ts'
import { carryBack, type StoredRollback } from './carry-back.ts'
import { assertUnfinished, findRun, type RunChoice } from './find-run.ts'
import type { RunResult } from './result.ts'

/** Goes on with an unfinished run from the plan that was agreed to. */
export async function resume(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const { server, run } = await findRun(target, choice, options)
  assertUnfinished(run)
  return atWork({ target, server, ...options, command: run.command }, run.table, async (place) => {
    await assertLatest(place, run.table, run)
    return goOn(run, place, options)
  })
}

async function goOn(run: Run, place: Workplace, options: EngineOptions): Promise<RunResult> {
  if (run.command === 'rollback') return carryBack(run.id, fromStored(run.plan) as StoredRollback, place, options)
  if (run.command === 'purge' || run.command === 'mark')
    return carryOutPurge(run.id, fromStored(run.plan) as PurgePlan, place, options)
  if (run.command === 'view') return carryOutView(run.id, fromStored(run.plan) as ViewPlan, place, options)
  if (run.command === 'candidates')
    return carryOutCandidates(run.id, fromStored(run.plan) as CandidatePlan, place, options)
  if (COPY_COMMANDS.includes(run.command))
    return carryOutCopy(run.id, fromStored(run.plan) as RebuildPlan, place, options)
  return carryOut(run.id, fromStored(run.plan) as PartitionPlan, place, options)
}
