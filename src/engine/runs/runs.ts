// What is done with runs that exist already: look at them, go on, undo, go back, let go.

export { abandon, planAbandonOf } from './abandon.ts'
export type { RunChoice } from './find-run.ts'
export type { KnownRun } from './known.ts'
export { planResumeOf, type Remainder } from './remaining.ts'
export type { RunResult } from './result.ts'
export { resume } from './resume.ts'
export { planRetireOf, retire } from './retire.ts'
export { planRollbackOf, rollback } from './rollback.ts'
export { status, type RunStatusLine, type StatusReport } from './status.ts'
