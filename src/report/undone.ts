import type { RunResult } from '../engine/runs/runs.ts'
import { display } from '../sql/names.ts'
import { describeCosts } from './costs.ts'
import { indented } from './partitioned.ts'

/** What going back on a run, or giving up the way back, has come to. */
export function describeUndone(name: 'abandon' | 'rollback' | 'retire', { runId, plan, steps }: RunResult): string[] {
  const table = display(plan.table)
  const what = {
    abandon: plan.steps.some(({ key }) => key === 'abandon:purge')
      ? `Run ${runId} is abandoned: what it has deleted from ${table} stays deleted, and the other rows stay.`
      : plan.steps.some(({ key }) => key === 'abandon:mark')
        ? `Run ${runId} is abandoned: what it has marked in ${table} stays marked, and the other rows are not.`
        : `Run ${runId} is abandoned: ${table} is as it was before.`,
    rollback: isOfCopy(plan)
      ? `What ${table} was before is back, with every write made since (run ${runId}).`
      : `${table} is a plain table again (run ${runId}).`,
    retire: `The former ${table} of run ${runId} is gone, and its space is given back.`,
  }
  return [what[name], ...indented(describeCosts(steps))]
}

// Only what was copied has to be brought up to date before it comes back.
function isOfCopy({ steps }: RunResult['plan']): boolean {
  return steps.some(({ kind }) => kind === 'reconcile')
}
