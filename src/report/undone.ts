import type { RunResult } from '../engine/runs.ts'
import { display } from '../sql/names.ts'
import { describeCosts } from './costs.ts'
import { indented } from './partitioned.ts'

/** What going back on a run has come to. */
export function describeUndone(name: 'abandon' | 'rollback', { runId, plan, steps }: RunResult): string[] {
  const table = display(plan.table)
  return [
    name === 'abandon'
      ? `Run ${runId} is abandoned: ${table} is as it was before.`
      : `${table} is a plain table again (run ${runId}).`,
    ...indented(describeCosts(steps)),
  ]
}
