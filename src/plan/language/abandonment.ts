import { display, type TableName } from '../../sql/names.ts'
import type { AloneStep, Plan, Step } from './step.ts'

/** A plan that abandons an unfinished run; `evidence` says what remains. */
export function abandonment(runId: string, table: TableName, evidence: string, steps: readonly Step[]): Plan {
  return {
    goal: `abandon run ${runId} on ${display(table)}`,
    table,
    evidence: [evidence],
    dependents: [],
    objections: [],
    notes: [],
    steps,
  }
}

/** If nothing has to be undone: only ends the run. */
export function endTheRun(key: string): AloneStep {
  return {
    kind: 'alone',
    key,
    title: 'end the run',
    because: 'it will not be resumed',
    locks: [],
    cost: '',
    statements: [],
  }
}
