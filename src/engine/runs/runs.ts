// Operations on existing runs: status, resume, abandon, rollback, retire.

export { abandon, planAbandonOf } from './abandon.ts'
export type { RunChoice } from './find-run.ts'
export { planResumeOf, resume, type Remainder } from './resume.ts'
export type { RunResult } from './take-back.ts'
export { planRetireOf, retire, type RetireRequest } from './retire.ts'
export { planRollbackOf, rollback } from './rollback.ts'
export {
  status,
  type ArchiveStatus,
  type DetachedPartition,
  type RunStatusLine,
  type SetStatus,
  type StatusReport,
} from './status.ts'
