import type { Plan } from '../../plan/step.ts'
import type { ExecuteOptions, StepResult } from '../execute.ts'
import type { EngineOptions } from '../partition.ts'

export interface RunResult {
  readonly runId: string
  readonly plan: Plan
  readonly steps: readonly StepResult[]
}

/** What a run is carried out with, of what a call was given. */
export function patienceOf(options: EngineOptions): ExecuteOptions {
  return options.patience === undefined ? {} : { patience: options.patience }
}
