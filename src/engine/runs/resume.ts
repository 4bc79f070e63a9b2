import type { Target } from '../../db/session.ts'
import { assertLatest } from '../command.ts'
import { carryOutCandidates } from '../commands/candidates.ts'
import { commandOf } from '../commands/registry.ts'
import { carryOutCopy } from '../copy/run.ts'
import type { EngineOptions } from '../options.ts'
import { carryOut } from '../commands/partition.ts'
import { carryOutPurge } from '../commands/purge.ts'
import { verifiedPlan } from '../stored-plan.ts'
import { carryOutView } from '../commands/view.ts'
import { withTable, type TableContext } from '../table-context.ts'
import { carryBack } from './carry-back.ts'
import { assertUnfinished, findRun, type RunChoice } from './find-run.ts'
import { known, type KnownRun } from './known.ts'
import type { RunResult } from './result.ts'

/** Goes on with an unfinished run from the plan that was agreed to. */
export async function resume(target: Target, choice: RunChoice, options: EngineOptions): Promise<RunResult> {
  const { server, run } = await findRun(target, choice, options)
  assertUnfinished(run)
  const agreed = known(run)
  return withTable({ target, server, ...options, command: run.command }, run.table, async (context) => {
    await assertLatest(context, run.table, run)
    const plan = await verifiedPlan(context, commandOf(agreed, options), run)
    return goOn({ ...agreed, plan } as KnownRun, context, options)
  })
}

async function goOn(run: KnownRun, context: TableContext, options: EngineOptions): Promise<RunResult> {
  switch (run.command) {
    case 'partition':
      return carryOut(run.id, run.plan, context, options)
    case 'partition-copy':
    case 'rebuild':
    case 'split':
      return carryOutCopy(run.id, run.plan, context, options)
    case 'purge':
    case 'mark':
      return carryOutPurge(run.id, run.plan, context, options)
    case 'view':
      return carryOutView(run.id, run.plan, context, options)
    case 'candidates':
      return carryOutCandidates(run.id, run.plan, context, options)
    case 'rollback':
      return carryBack(run.id, run.plan, context, options)
  }
}
