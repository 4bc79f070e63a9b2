import type { Run } from '../../journal/journal.ts'
import type { RebuildPlan, RebuildSummary } from '../../plan/copy/summary.ts'
import type { ConversionSummary, PartitionPlan } from '../../plan/partition/partition.ts'

// What later commands need to know about a run. A run only starts without objections, so its plan has a summary.

/** What a run turns into partitions. */
export function conversionOf({ id, plan }: Run<PartitionPlan>): ConversionSummary {
  if (plan.conversion === null) throw new Error(`run ${id} has no conversion`)
  return plan.conversion
}

/** What a run copies. */
export function rebuildOf({ id, plan }: Run<RebuildPlan>): RebuildSummary {
  if (plan.rebuild === null) throw new Error(`run ${id} has no rebuild`)
  return plan.rebuild
}
