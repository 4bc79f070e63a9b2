import { planRebuildRollback, planSplitRollback, type RebuildRollbackSituation } from './copy/rollback.ts'
import { standbyNotes } from './copy/standby-notes.ts'
import { planRollback, type RollbackPlan, type RollbackSituation } from './partition/rollback.ts'
import type { SplitSummary } from './split/exchange.ts'

/** What a rollback depends on. */
export type RollbackOf =
  | { readonly back: 'conversion'; readonly situation: RollbackSituation }
  | {
      readonly back: 'copy'
      readonly situation: RebuildRollbackSituation
      readonly split: SplitSummary | null
      /** Standbys that cannot be waited for. */
      readonly silent: readonly string[]
    }

/** Plans it. */
export function planBack(of: RollbackOf): RollbackPlan {
  if (of.back === 'conversion') return planRollback(of.situation)
  const plan = of.split === null ? planRebuildRollback(of.situation) : planSplitRollback(of.situation, of.split)
  return { ...plan, notes: [...plan.notes, ...standbyNotes(of.silent)] }
}
