import type { ArchiveResult } from '../engine/commands/archive.ts'
import type { CandidatesResult } from '../engine/commands/candidates.ts'
import type { PartitionResult } from '../engine/commands/partition.ts'
import type { PurgeResult } from '../engine/commands/purge.ts'
import type { RestoreResult } from '../engine/commands/restore.ts'
import type { ViewResult } from '../engine/commands/view.ts'
import type { CopyResult } from '../engine/copy/run.ts'
import { candidateSet } from '../engine/purge/candidates/review.ts'
import type { RunResult } from '../engine/runs/runs.ts'
import { describeArchived } from '../report/archived.ts'
import { describeCopied } from '../report/copied.ts'
import { describePartitioned } from '../report/partitioned.ts'
import { describePurged } from '../report/purged.ts'
import { samplesOfPurge } from '../report/result-metrics.ts'
import { describeRestored, restoredForPrograms } from '../report/restored.ts'
import { describeUndone } from '../report/undone.ts'
import { display } from '../sql/names.ts'
import { toText } from '../text/comment.ts'
import type { Asked } from './command.ts'
import { lookAfterCopy } from './copied.ts'
import { EXIT } from './exit-codes.ts'
import { mapAfterwards } from './partition-map.ts'

type Show<Outcome> = (asked: Asked, outcome: Outcome, command: string) => void | Promise<void>

const showCopied: Show<CopyResult> = async ({ reporter, target }, outcome, command) => {
  const copied = await lookAfterCopy(target, command, outcome)
  reporter.show('result', copied, () => toText(describeCopied(copied)))
}

/** Where locked rows are left, the exit code says to try again later. */
const showPurged: Show<PurgeResult> = ({ invocation, reporter, notes }, outcome) => {
  const { plan, ...shown } = outcome
  notes.note(samplesOfPurge(outcome))
  reporter.show('result', { table: plan.table, ...shown }, () => toText(describePurged(outcome)))
  if ((outcome.figures?.locked ?? 0) > 0) invocation.end(EXIT.tryLater)
}

const showPartitioned: Show<PartitionResult> = async ({ reporter, target }, { runId, plan, steps, nothingToDo }) => {
  const result = { runId, table: plan.table, steps, nothingToDo, map: await mapAfterwards(target, plan.table) }
  reporter.show('result', result, () => toText(describePartitioned(result)))
}

const showView: Show<ViewResult> = ({ reporter }, { plan, ...result }) => {
  reporter.show('result', { table: plan.table, view: plan.view, ...result }, () =>
    toText([`${display(plan.view)} shows ${display(plan.table)} without the hidden rows (run ${result.runId}).`]),
  )
}

const showCandidates: Show<CandidatesResult & RunResult> = async ({ reporter, target, engine }, { runId }) => {
  reporter.show('candidates', { set: await candidateSet(target, runId, engine) }, () =>
    toText([`Candidate set ${runId} is complete: ebb candidates ${runId}`]),
  )
}

const showArchived: Show<ArchiveResult> = ({ reporter }, outcome) => {
  const { plan, ...shown } = outcome
  reporter.show('result', { table: plan.table, ...shown }, () => toText(describeArchived(outcome)))
}

const showRolledBack: Show<RunResult> = ({ reporter }, outcome) => {
  const { runId, steps, receipt = null } = outcome
  reporter.show('result', { runId, steps, receipt }, () => toText(describeUndone('rollback', outcome)))
}

const showRestored: Show<RestoreResult> = ({ invocation, reporter }, outcome) => {
  const withValues = invocation.args.includes('--show-values')
  reporter.show('result', restoredForPrograms(outcome, withValues), () => toText(describeRestored(outcome, withValues)))
}

/** How the outcome of each command is shown, also of a resumed one. */
export const OUTCOMES = {
  partition: showPartitioned,
  'partition-copy': showCopied,
  rebuild: showCopied,
  split: showCopied,
  purge: showPurged,
  mark: showPurged,
  view: showView,
  candidates: showCandidates,
  archive: showArchived,
  rollback: showRolledBack,
  restore: showRestored,
}
