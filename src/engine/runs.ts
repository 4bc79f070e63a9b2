// What is done with runs that exist already: look at them, go on, undo, go back, let go.

export { abandon, planAbandonOf } from './runs/abandon.ts'
export type { RunChoice } from './runs/find-run.ts'
export type { KnownRun } from './runs/known.ts'
export { planResumeOf, type Remainder } from './runs/remaining.ts'
export type { RunResult } from './runs/result.ts'
export { resume } from './runs/resume.ts'
export { planRetireOf, retire } from './runs/retire.ts'
export { planRollbackOf, rollback } from './runs/rollback.ts'
export { status, type RunStatusLine, type StatusReport } from './runs/status.ts'
