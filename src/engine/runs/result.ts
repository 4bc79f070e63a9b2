import type { Plan } from '../../plan/language/step.ts'
import type { StepResult } from '../execute.ts'

/** What has been done to a run. */
export interface RunResult {
  readonly runId: string
  readonly plan: Plan
  readonly steps: readonly StepResult[]
}
