import type { ConditionFacts } from '../../catalog/condition/condition.ts'
import type { LeafModel } from '../../catalog/partitions/purge-leaves.ts'
import type { Reach } from '../../catalog/condition/selectivity.ts'
import type { ServerModel } from '../../catalog/server-model.ts'
import type { TableModel } from '../../catalog/table/table-model.ts'
import type { Predicate } from '../../sql/predicate.ts'
import type { Objection } from '../language/step.ts'

/** What a plan has to know about the rows that match a condition. */
export interface ChosenRows {
  readonly server: ServerModel
  readonly table: TableModel
  readonly predicate: Predicate
  readonly leaves: readonly LeafModel[]
  readonly reach: Reach
  readonly condition: ConditionFacts
}

/** A table whose rows are not to be processed, or cannot be determined. */
export interface Refused {
  readonly server: ServerModel
  readonly table: TableModel
  readonly objections: readonly Objection[]
}

export function isRefused(chosen: ChosenRows | Refused): chosen is Refused {
  return 'objections' in chosen
}
