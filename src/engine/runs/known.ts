import type { Run } from '../../journal/journal.ts'
import type { CandidatePlan } from '../../plan/purge/candidates.ts'
import type { ConversionSummary, PartitionPlan } from '../../plan/partition/partition.ts'
import type { PurgePlan } from '../../plan/purge/purge.ts'
import type { RebuildPlan, RebuildSummary } from '../../plan/copy/rebuild.ts'
import type { SplitPlan } from '../../plan/split/split.ts'
import { fromStored } from '../../plan/language/stored.ts'
import type { ViewPlan } from '../../plan/view/view.ts'
import { COPY_COMMANDS } from '../copy/run.ts'
import type { StoredRollback } from './carry-back.ts'

/** What kind of plan each command leaves in the journal. */
export interface Plans {
  readonly partition: PartitionPlan
  readonly 'partition-copy': RebuildPlan
  readonly rebuild: RebuildPlan
  readonly split: SplitPlan
  readonly purge: PurgePlan
  readonly mark: PurgePlan
  readonly view: ViewPlan
  readonly candidates: CandidatePlan
  readonly rollback: StoredRollback
}

/** A run with its plan: which kind it is, the command tells. */
export type KnownRun = {
  [Name in keyof Plans]: Run<Plans[Name]> & { readonly command: Name }
}[keyof Plans]

/** A run with the plan that was agreed to. The journal has nothing but what these commands have written. */
export function known(run: Run): KnownRun {
  return { ...run, plan: fromStored(run.plan) } as KnownRun
}

/** A run that copies. */
export type CopyRun = Extract<KnownRun, { readonly command: 'partition-copy' | 'rebuild' | 'split' }>

/** Whether a run copies, and has put a former table aside when it is done. */
export function isCopy(run: KnownRun): run is CopyRun {
  return COPY_COMMANDS.includes(run.command)
}

/** What a run turns into partitions. A run only begins where there are no objections, so its plan has one. */
export function conversionOf({ id, plan }: Run<PartitionPlan>): ConversionSummary {
  if (plan.conversion === null) throw new Error(`run ${id} has no conversion`)
  return plan.conversion
}

/** What a run copies; as above. */
export function rebuildOf({ id, plan }: Run<RebuildPlan>): RebuildSummary {
  if (plan.rebuild === null) throw new Error(`run ${id} has no rebuild`)
  return plan.rebuild
}
