import type { RunResult } from '../engine/runs/runs.ts'
import { display } from '../sql/names.ts'
import { describeCosts } from './costs.ts'
import { indented } from './partitioned.ts'

/** The result of abandon, rollback and retire. */
export function describeUndone(
  name: 'abandon' | 'rollback' | 'retire',
  { runId, plan, steps, swapped, rolledBack = runId, receipt = null }: RunResult,
): string[] {
  const table = display(plan.table)
  const what = {
    abandon: abandoned({ runId, plan, ...(swapped ? { swapped } : {}) }, table),
    rollback: isOfCopy(plan)
      ? `${table} is rolled back to what it was before run ${rolledBack}, with every write made since.`
      : `${table} is a plain table again (run ${runId}).`,
    retire: `The retired table of run ${runId} on ${table} is dropped, and its disk space is freed.`,
  }
  const stays =
    name === 'rollback'
      ? 'The archive of the rows left out stays, without removal.json'
      : 'The rows left out are archived'
  const archived = receipt === null ? [] : [`${stays}: ${receipt}`]
  return [what[name], ...archived, ...indented(describeCosts(steps))]
}

function abandoned({ runId, plan, swapped }: Omit<RunResult, 'steps'>, table: string): string {
  const did = (key: string) => plan.steps.some((step) => step.key === key)
  if (swapped === true) return `Run ${runId} has ended where it was: ${plan.evidence.join('; ')}.`
  if (did('abandon:purge'))
    return `Run ${runId} is abandoned: rows already deleted from ${table} stay deleted, the others are kept.`
  if (did('abandon:mark'))
    return `Run ${runId} is abandoned: rows already marked in ${table} stay marked, the others are unchanged.`
  return `Run ${runId} is abandoned: ${table} is as it was before.`
}

// Only a copy applies captured changes before it is swapped back.
function isOfCopy({ steps }: RunResult['plan']): boolean {
  return steps.some(({ kind }) => kind === 'reconcile')
}
