// What programs use: `import { partition, rotate } from 'pg-ebb'`. The same as
// the command line, in words of JavaScript: intervals are text, as there.
// Nothing is changed without `execute: true`; a plan is returned instead.

export {
  abandon,
  resume,
  retirable,
  retire,
  rollback,
  status,
  type ResumeOptions,
  type RetireOptions,
  type RollbackOptions,
  type RunOptions,
} from './library/runs.ts'
export { advise, type AdviseOptions } from './library/advise.ts'
export { applyPolicy, type ApplyPolicyOptions } from './library/apply-policy.ts'
export { archive, type ArchiveOptions } from './library/archive.ts'
export { listArchives, verifyArchive, type VerifyArchiveOptions } from './library/archives.ts'
export {
  approveCandidates,
  candidates,
  candidateSets,
  dropCandidates,
  exportCandidates,
  sampleCandidates,
  type CandidateOptions,
} from './library/candidates.ts'
export type { Database, Table } from './library/database.ts'
export { check, type CheckOptions } from './library/check.ts'
export { inspect } from './library/inspect.ts'
export { mark, type MarkOptions } from './library/mark.ts'
export type { CopyOptions, DatabaseOptions, LockOptions, Options, PaceOptions } from './library/options.ts'
export { migrateDown, migrateUp, migrations, type MigrateOptions } from './migrate/library.ts'
export type { CallResult, MigrationContext } from './migrate/context.ts'
export type { Migration } from './migrate/load.ts'
export type { MigrationsReport, MigrationsResult, MigrationStatus } from './migrate/migrate.ts'
export { partition, type PartitionCopyOptions, type PartitionOptions } from './library/partition.ts'
export { purge, type PurgeOptions } from './library/purge.ts'
export { purgeStale, type StaleOptions } from './library/purge-stale.ts'
export { rebuild, type RebuildOptions } from './library/rebuild.ts'
export { reattach, type ReattachOptions } from './library/reattach.ts'
export { rotate, type RotateOptions } from './library/rotate.ts'
export { split, type SplitOptions } from './library/split.ts'
export { run, type RunPoliciesOptions } from './library/run.ts'
export { restore, type RestoreOptions } from './library/restore.ts'
export { view, type ViewOptions } from './library/view.ts'

export {
  defineConfig,
  type Config,
  type DeletionConfig,
  type PaceConfig,
  type PolicyConfig,
  type PolicyDefaults,
  type SharedConfig,
} from './policy/config.ts'
export type { JudgedPolicy } from './policy/judge-policy.ts'
export type { Finding, Level } from './policy/findings.ts'
export type { PolicyPlan } from './policy/plan-policies.ts'
export type { PolicyReport, RunReport } from './policy/run-policies.ts'
export type { Terms } from './policy/terms.ts'

export { EXIT, exitCodeOf, exitCodeOfRotation, type ExitCode } from './cli/exit-codes.ts'
export { EbbError, ObjectionsError, UsageError, type Advice, type ErrorKind } from './errors.ts'
export type { ArchiveList, ArchiveSummary, Leftover, ListedArchive } from './archive/list-archives.ts'
export type { FoundDifference } from './archive/verify-receipt.ts'
export type { ArchiveVerification } from './archive/verify-archive.ts'
export type { Reattached, ReattachPlan } from './engine/commands/reattach.ts'
export type { RetiredPartition, RotationReport, SetReport } from './engine/commands/rotate.ts'
export { explainRotation } from './plan/explain/rotation.ts'
export { explain } from './plan/explain/explain.ts'
export type { ArchiveResult } from './engine/commands/archive.ts'
export type { Inspection } from './engine/commands/inspect.ts'
export type { CopyResult } from './engine/copy/run.ts'
export type { RetiredTable } from './engine/runs/retired.ts'
export type { Retirements } from './engine/runs/retire-due.ts'
export type { PartitionResult } from './engine/commands/partition.ts'
export type { PurgeResult } from './engine/commands/purge.ts'
export type {
  ArchiveStatus,
  DetachedPartition,
  Remainder,
  RunResult,
  RunStatusLine,
  SetStatus,
  StatusReport,
} from './engine/runs/runs.ts'
export type { PaceSettings } from './pacing/limits.ts'
export type { PaceSummary } from './pacing/summary.ts'
export type { Way, WaysAdvice } from './plan/advise/advise.ts'
export type { KeyAdvice } from './plan/advise/key-advice.ts'
export type { Transport } from './plan/copy/work.ts'
export type { PartitionPlan } from './plan/partition/partition.ts'
export type { CandidatesResult } from './engine/commands/candidates.ts'
export type { StalePlan, StaleResult } from './engine/commands/purge-stale.ts'
export type { RestoreResult } from './engine/commands/restore.ts'
export type { ViewResult } from './engine/commands/view.ts'
export type { StoredSet } from './journal/candidates.ts'
export type { CandidatePlan } from './plan/purge/candidates.ts'
export type { RestorePlan } from './plan/restore/restore.ts'
export type { ViewPlan } from './plan/view/view.ts'
export type { PurgePlan } from './plan/purge/purge.ts'
export type { PurgeWork } from './plan/purge/work.ts'
export type { RebuildPlan, RebuildSummary } from './plan/copy/summary.ts'
export type { Risk } from './plan/advise/risks.ts'
export type { RollbackPlan } from './plan/partition/rollback.ts'
export type { Retire } from './plan/rotate/request.ts'
export type { SplitPlan } from './plan/split/split.ts'
export type { SplitSummary } from './plan/split/exchange.ts'
export type { RotationPlan } from './plan/rotate/plan.ts'
export type { DependentObject, Lock, Plan, Step } from './plan/language/step.ts'
export type { Objection } from './plan/language/objection.ts'
export type { Event, LockTimes, Observer, Progress } from './events.ts'
export type { TableName } from './sql/names.ts'
